"""On which side traffic drives, by the place on earth, coarsely."""

from __future__ import annotations

LEFT = (
    ("Britain and Ireland", 49.8, -11.0, 61.0, 1.9),
    ("Malta", 35.7, 14.1, 36.1, 14.6),
    ("Cyprus", 34.5, 32.2, 35.8, 34.7),
    ("India", -1.0, 68.5, 29.0, 88.9),
    ("Pakistan", 24.0, 62.5, 34.0, 73.5),
    ("Nepal and Bangladesh", 21.0, 80.5, 28.0, 92.3),
    ("Thailand", 5.7, 98.3, 18.5, 102.0),
    ("Malaysia and Indonesia", -11.0, 95.0, 5.6, 119.5),
    ("Australia and Papua", -45.0, 112.5, -0.5, 155.0),
    ("New Zealand", -48.0, 165.0, -34.0, 179.0),
    ("Japan", 30.0, 129.3, 45.6, 146.0),
    ("Hong Kong and Macao", 22.1, 113.5, 22.5, 114.4),
    ("East Africa", -11.0, 31.0, 1.5, 41.9),
    ("Southern Africa", -35.0, 24.5, -15.5, 33.0),
    ("Namibia and the Cape", -35.0, 14.0, -18.0, 24.5),
    ("Jamaica", 17.6, -78.5, 18.6, -76.1),
    ("Barbados, Trinidad", 10.0, -61.8, 13.4, -59.4),
)
"""Boxes (south, west, north, east) in degrees that hold most of the streets on which traffic keeps left, and
few others: borders are curved. Tags in the data and the flag go before them."""


def left_country(lat: float, lon: float) -> str | None:
    """The region around a place in which traffic keeps left; None where it keeps right."""
    for name, south, west, north, east in LEFT:
        if south <= lat <= north and west <= lon <= east:
            return name
    return None
