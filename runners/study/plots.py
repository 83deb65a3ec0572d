"""Plots of the report on features: where visited states lie, and predicted jams beside the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..reporting.page import COLORS, TEXT, legend_below, new_figure, style
from ..run.recording import UNKNOWN
from .samples import SHOWN, EncoderJudge
from .traffic import HOURS, JamStudy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Plots = list[tuple["Figure", str]]
"""Figures and their captions."""
GROUPS = 8
"""Clusters by which states are colored: as many as colors can be told apart."""
NEIGHBOURS = 30
"""t-SNE's perplexity."""
DOTS = 200
"""Dots per inch of point clouds, which are pictures in the plots: as lines they would be megabytes."""
DOT: Any = {"s": 5, "linewidths": 0, "rasterized": True}
"""How a point of them is drawn."""


def state_plots(judge: EncoderJudge, seed: int) -> Plots:
    """Held-out states in the plane, by PCA and by t-SNE, colored by value, cluster and time to go.

    PCA and the clusters are fitted on training episodes; t-SNE (van der Maaten & Hinton 2008), which has no
    map from states to points, on the states shown, after PCA to 50 numbers as its authors advise.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    shown = judge.test.some(SHOWN)
    train, rows = judge.train.rows(judge.scale), shown.rows(judge.scale)
    clusters = KMeans(GROUPS, random_state=seed).fit(train).predict(rows)
    flat = PCA(2, random_state=seed).fit(train)
    parts = min(50, *rows.shape)
    perplexity = max(1, min(NEIGHBOURS, (len(rows) - 1) // 3))
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    places = {
        "PCA": flat.transform(rows),
        "t-SNE": tsne.fit_transform(PCA(parts, random_state=seed).fit_transform(rows)),
    }
    share = flat.explained_variance_ratio_.sum()
    notes = {
        "PCA": f"The plane that keeps most of the variance: {100 * share:.0f} %",
        "t-SNE": "Neighbours stay neighbours; distances between heaps say nothing",
    }
    ended = shown.steps != UNKNOWN
    plots: Plots = []
    for name, points in places.items():
        note = notes[name]
        cloud = _cloud(points, shown.value, f"{name}: return to come")
        plots.append((cloud, f"{note}. Color: the discounted return."))
        cloud = _groups(points, np.asarray(clusters), f"{name}: k-means, {GROUPS} groups")
        plots.append((cloud, f"{note}. Color: a state's group; beside it the group's share of the states."))
        if ended.any():
            cloud = _cloud(points[ended], shown.steps[ended], f"{name}: steps to go")
            plots.append((cloud, f"{note}. Color: steps to the episode's end, where it was seen."))
    return plots


def _points(title: str) -> tuple[Figure, Any]:
    """A figure for a cloud of points, and its axes."""
    figure, axes = new_figure()
    figure.set_dpi(DOTS)
    axes.set(xticks=[], yticks=[], title=title)
    return figure, axes


@style()
def _cloud(points: NDArray, values: NDArray, title: str) -> Figure:
    """(N, 2) points colored by (N,) values."""
    figure, axes = _points(title)
    low, high = np.quantile(values, (0.05, 0.95))  # a few far values would leave one color to the others
    cloud = axes.scatter(*points.T, c=values, vmin=low, vmax=high, **DOT)
    figure.colorbar(cloud, ax=axes, extend="both").outline.set_visible(False)
    return figure


@style()
def _groups(points: NDArray, groups: NDArray, title: str) -> Figure:
    """(N, 2) points colored by (N,) numbers of their groups, and which color is whose."""
    figure, axes = _points(title)
    for group in range(GROUPS):
        own = groups == group
        label = f"{group + 1}: {100 * own.mean():.0f} %"
        axes.scatter(*points[own].T, color=COLORS[group], label=label, **DOT)
    legend_below(axes, GROUPS // 2, enlarged=2)
    return figure


# --- Jams -----------------------------------------------------------------------------------------------


def jam_plots(study: JamStudy, name: str) -> Plots:
    """What a predictor says of held-out days, against the truth: by hour, in all, and on the map."""
    truth, found = study.traffic.occupancy[study.test_days], study.predicted[name]
    days = len(truth)
    return [
        (
            _by_hour(study, truth, found, name),
            "Three road segments by hour: the one that is predicted to be fullest at 8, the emptiest, and "
            f"one in the middle. Bands: all {days} held-out days; dots: their mean; lines: {name}.",
        ),
        (
            _against(truth, found, name),
            f"Every hour, segment and held-out day against what {name} predicts of it.",
        ),
        (
            _map(study, truth, found, name),
            f"At 8 o'clock: the mean of {days} held-out days, and what {name} predicts.",
        ),
    ]


@style()
def _by_hour(study: JamStudy, truth: NDArray, found: NDArray, name: str) -> Figure:
    figure, axes = new_figure()
    axes.set_title(name)
    order = np.argsort(found[8])
    chosen = {"fullest": order[-1], "middle": order[len(order) // 2], "emptiest": order[0]}
    hours = np.arange(HOURS)
    for (what, place), color in zip(chosen.items(), COLORS, strict=False):
        seen = truth[:, :, place]
        axes.fill_between(hours, seen.min(axis=0), seen.max(axis=0), color=color, alpha=0.25, linewidth=0)
        axes.plot(hours, seen.mean(axis=0), ".", color=color)
        axes.plot(hours, found[:, place], color=color, label=what)
    axes.set(
        xlabel="hour of the day", ylabel="share of cells taken", ylim=(0, None), xticks=range(0, HOURS, 4)
    )
    legend_below(axes, 3)
    return figure


@style()
def _against(truth: NDArray, found: NDArray, name: str) -> Figure:
    figure, axes = new_figure()
    figure.set_dpi(DOTS)
    top = max(truth.max(), found.max())
    wide = np.broadcast_to(found, truth.shape)
    axes.scatter(wide, truth, s=4, alpha=0.25, color=COLORS[0], linewidths=0, rasterized=True)
    axes.plot([0, top], [0, top], color=TEXT, linewidth=0.8, linestyle="--")
    axes.set(xlabel="predicted share of cells taken", ylabel="truth", title=name)
    return figure


@style()
def _map(study: JamStudy, truth: NDArray, found: NDArray, name: str) -> Figure:
    figure, both = new_figure(2)
    of_cell = study.traffic.of_cell
    pictures = {"truth": truth[:, 8].mean(axis=0), name: found[8]}
    top = max(each.max() for each in pictures.values())
    for axes, (title, values) in zip(both, pictures.items(), strict=True):
        cells = np.ma.masked_where(of_cell < 0, values[of_cell])
        image = axes.imshow(cells, vmin=0, vmax=top)
        axes.set_title(title)
        axes.axis("off")
    bar = figure.colorbar(image, ax=both, location="bottom", label="share of cells taken")
    bar.outline.set_visible(False)
    return figure
