"""Plots of the report on features: where visited states lie, and predicted jams beside the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .collect import UNKNOWN
from .jams import HOURS, JamStudy
from .page import COLOURS, TEXT, legend_below, new_figure, style
from .samples import SHOWN, Judge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Plots = list[tuple["Figure", str]]
"""Figures and their captions."""
GROUPS = 8
"""Clusters by which states are coloured: as many as colours can be told apart."""
NEIGHBOURS = 30
"""t-SNE's perplexity."""
DOTS = 200
"""Dots per inch of point clouds, which are pictures in the plots: as lines they would be megabytes."""


def state_plots(judge: Judge, seed: int) -> Plots:
    """Held-out states in the plane, by PCA and by t-SNE, coloured by value, cluster and time to go.

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
    plots: Plots = []
    for name, points in places.items():
        note = f"PCA, {100 * share:.0f} % of the variance" if name == "PCA" else name
        ended = shown.steps != UNKNOWN
        plots += [
            (_cloud(points, shown.value, "value"), f"{note}; colour: the discounted return to come."),
            (_cloud(points, np.asarray(clusters), "cluster"), f"{note}; colour: k-means, {GROUPS} groups."),
        ]
        if ended.any():
            plots.append(
                (_cloud(points[ended], shown.steps[ended], "time to go"), f"{note}; colour: steps to go.")
            )
    return plots


def _cloud(points: NDArray, values: NDArray, what: str) -> Figure:
    """(N, 2) points coloured by (N,) values, or by the number of a cluster."""
    from matplotlib.colors import ListedColormap

    with style():
        figure, axes = new_figure()
        figure.set_dpi(DOTS)
        axes.set(xticks=[], yticks=[], title=what)
        dots: dict[str, Any] = {"s": 5, "linewidths": 0, "rasterized": True}
        if what == "cluster":
            axes.scatter(
                *points.T, c=values, cmap=ListedColormap(COLOURS[:GROUPS]), vmin=0, vmax=GROUPS, **dots
            )
            return figure
        low, high = np.quantile(values, (0.05, 0.95))  # a few far values would leave one colour to the others
        cloud = axes.scatter(*points.T, c=values, vmin=low, vmax=high, **dots)
        figure.colorbar(cloud, ax=axes, extend="both").outline.set_visible(False)
    return figure


# --- Jams -----------------------------------------------------------------------------------------------


def jam_plots(study: JamStudy, name: str) -> Plots:
    """What a predictor says of held-out days, against the truth: by hour, in all, and on the map."""
    truth, found = study.traffic.occupancy[study.test_days], study.predicted[name]
    days = len(truth)
    return [
        (
            _by_hour(study, truth, found),
            "Three road segments by hour: the one that is predicted to be fullest at 8, the emptiest, and "
            f"one in the middle. Bands: all {days} held-out days; dots: their mean; lines: {name}.",
        ),
        (_against(truth, found), f"Every hour, segment and held-out day against what {name} predicts of it."),
        (
            _map(study, truth, found),
            f"At 8 o'clock: the mean of {days} held-out days, and what {name} predicts.",
        ),
    ]


def _by_hour(study: JamStudy, truth: NDArray, found: NDArray) -> Figure:
    figure, axes = new_figure()
    order = np.argsort(found[8])
    chosen = {"fullest": order[-1], "middle": order[len(order) // 2], "emptiest": order[0]}
    hours = np.arange(HOURS)
    for (what, place), colour in zip(chosen.items(), COLOURS, strict=False):
        seen = truth[:, :, place]
        axes.fill_between(hours, seen.min(axis=0), seen.max(axis=0), color=colour, alpha=0.25, linewidth=0)
        axes.plot(hours, seen.mean(axis=0), ".", color=colour)
        axes.plot(hours, found[:, place], color=colour, label=what)
    axes.set(
        xlabel="hour of the day", ylabel="share of cells taken", ylim=(0, None), xticks=range(0, HOURS, 4)
    )
    legend_below(axes, 3)
    return figure


def _against(truth: NDArray, found: NDArray) -> Figure:
    figure, axes = new_figure()
    figure.set_dpi(DOTS)
    top = max(truth.max(), found.max())
    wide = np.broadcast_to(found, truth.shape)
    axes.scatter(wide, truth, s=4, alpha=0.25, color=COLOURS[0], linewidths=0, rasterized=True)
    axes.plot([0, top], [0, top], color=TEXT, linewidth=0.8, linestyle="--")
    axes.set(xlabel="predicted share of cells taken", ylabel="truth")
    return figure


def _map(study: JamStudy, truth: NDArray, found: NDArray) -> Figure:
    with style():
        figure, both = new_figure(2)
        of_cell = study.traffic.of_cell
        pictures = {"truth": truth[:, 8].mean(axis=0), "predicted": found[8]}
        top = max(each.max() for each in pictures.values())
        for axes, (title, values) in zip(both, pictures.items(), strict=True):
            cells = np.ma.masked_where(of_cell < 0, values[of_cell])
            image = axes.imshow(cells, vmin=0, vmax=top)
            axes.set_title(title)
            axes.axis("off")
        bar = figure.colorbar(image, ax=both, location="bottom", label="share of cells taken")
        bar.outline.set_visible(False)
    return figure
