"""A figure with sliders, where a browser is; without one, the figure."""


def slide(draw, live, **ranges):
    """Draw at the start of each range, {name: (low, high, start)}; live: with a slider for each.

    draw takes whole numbers by these names and shows its figure. ipywidgets comes with jupyter.
    """
    if not live:
        draw(**{name: start for name, (_, _, start) in ranges.items()})
        return
    from ipywidgets import IntSlider, interact
    sliders = {name: IntSlider(start, low, high) for name, (low, high, start) in ranges.items()}
    interact(draw, **sliders)
