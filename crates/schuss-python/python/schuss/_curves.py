"""Curves as a picture inside a page."""

import math

import numpy as np

_WIDTH, _HEIGHT = 480, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 36
_COLORS = ("#1f77b4", "#d95f02", "#2a9d62")


def svg(curves, first=0, axis="epoch"):
    """An SVG of curves by name over the epochs from ``first`` on; empty where there is nothing to draw."""
    curves = {name: np.asarray(values, dtype=float) for name, values in curves.items()}
    curves = {name: values for name, values in curves.items() if np.isfinite(values).any()}
    if not curves or max(map(len, curves.values())) < 2:
        return ""
    finite = np.concatenate([values[np.isfinite(values)] for values in curves.values()])
    low, high = finite.min(), finite.max()
    # Losses fall by powers of ten.
    is_log = low > 0 and high / low > 20
    scale = math.log10 if is_log else float
    bottom, top = scale(low), scale(high)
    if top == bottom:
        bottom, top = bottom - 0.5, top + 0.5
    last = max(map(len, curves.values())) - 1

    def x(i):
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * i / last

    def y(value):
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (top - scale(value)) / (top - bottom)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        'role="img" font-family="sans-serif" font-size="11" fill="currentColor">',
        f'<path d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}" fill="none" stroke="currentColor" opacity="0.5"/>',
    ]
    for value in (low, high) if high > low else (low,):
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for i in (0, last):
        parts.append(f'<text x="{x(i):.1f}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{first + i}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    note = f"{axis}{', logarithmic' if is_log else ''}"
    parts.append(f'<text x="{middle:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{note}</text>')
    for place, ((name, values), color) in enumerate(zip(curves.items(), _COLORS)):
        points = [(x(i), y(value)) for i, value in enumerate(values) if np.isfinite(value) and (value > 0 or not is_log)]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        at = _TOP + 10 + 14 * place
        parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{at}" text-anchor="end" fill="{color}">{name}</text>')
    return "".join(parts) + "</svg>"
