"""The colours of page and figures, by day and by night; told apart by the colour-blind, legible on their cards."""

LIGHT = {
    "page": "#f5f6f8",
    "card": "#ffffff",
    "ink": "#1a2028",
    "muted": "#59636f",
    "edge": "#dfe3e9",
    "tint": "#eef1f5",
    "accent": "#0a5fa8",
    "good": "#17714a",
    "good-tint": "#e5f4ec",
    "warn": "#8a5200",
    "warn-tint": "#fdf3e1",
    "bad": "#b3261e",
    "bad-tint": "#fcebe9",
    "series-0": "#0b62ae",
    "series-1": "#c74d0b",
    "series-2": "#00805e",
    "series-3": "#a0438c",
    "series-4": "#8c6b00",
    "series-5": "#2b8ca8",
    "series-6": "#4a4f57",
}
DARK = {
    "page": "#0e1217",
    "card": "#161b22",
    "ink": "#e6eaf0",
    "muted": "#9ba6b4",
    "edge": "#2b333e",
    "tint": "#1f2630",
    "accent": "#74b6f5",
    "good": "#5fcf98",
    "good-tint": "#12291f",
    "warn": "#f0b65f",
    "warn-tint": "#2b2212",
    "bad": "#ff8f86",
    "bad-tint": "#331a19",
    "series-0": "#6db1f2",
    "series-1": "#f68b4e",
    "series-2": "#3cc79d",
    "series-3": "#e290cc",
    "series-4": "#dcbd48",
    "series-5": "#7fd3ea",
    "series-6": "#c3cad3",
}
NUM_SERIES = sum(name.startswith("series-") for name in LIGHT)


def declarations(colors: dict[str, str]) -> str:
    """The colours as CSS custom properties."""
    return "".join(f"--{name}:{color};" for name, color in colors.items())
