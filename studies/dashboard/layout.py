"""The look of the dashboard's figures."""

from typing import Any

Figure = dict[str, Any]
"""`data` and `layout`, https://plotly.com/javascript/reference."""

DASHES = ("solid", "dash", "dashdot", "dot")
GREY = "#666666"


def layout(title: str, explained: str, *, x: str, y: str) -> Figure:
    """Title, a line that explains it, and the names of the axes."""
    axis = {"gridcolor": "#E5E5E5", "linecolor": GREY, "zeroline": False, "automargin": True}
    return {
        "title": {
            "text": title,
            "subtitle": {"text": explained, "font": {"size": 12, "color": GREY}},
            "x": 0.02,
            "font": {"size": 17},
        },
        "xaxis": {**axis, "title": {"text": x}},
        "yaxis": {**axis, "title": {"text": y, "standoff": 12}},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        "margin": {"t": 80, "r": 30, "b": 60},
        "font": {"family": "Roboto, Helvetica, Arial, sans-serif"},
        "plot_bgcolor": "#FFFFFF",
    }
