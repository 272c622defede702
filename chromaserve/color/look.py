"""How the network looks at a photo: levels of faded prints stretched, nearly flat frames left grey.

The photo's own lightness is never touched: this is about the network's small copy of it.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

# Percentiles of L, and where they lie in a print that is not faded.
_DARK, _LIGHT = 1.0, 99.0
_BLACK, _WHITE = 2.0, 96.0
# From where on, and over how many units of L, an end that is not black or white counts as faded.
_DARK_FROM, _LIGHT_FROM, _RAMP = 8.0, 92.0, 6.0
# Ranges of L below which there is nothing to see, and above which there is something.
_FLAT: Final = (2.0, 8.0)


def network_look(L: Float, whole: Float | None = None) -> Float:
    """A copy of L as the network shall see it: the range of a faded print is made whole.

    Only where both ends are faded, and by how much they are: a photo of fog or of snow has one end
    that is.

    Args:
        L: float32 [h, w] in [0, 100].
        whole: the same of the whole photo, where L is of a part of it: a print fades as a whole.

    Returns:
        float32 [h, w] in [0, 100]; L itself where the photo is not faded, or flat.
    """
    dark, light = _ends(L if whole is None else whole)
    faded = min(_share(dark - _DARK_FROM, _RAMP), _share(_LIGHT_FROM - light, _RAMP))
    if not faded or light - dark < _FLAT[1]:
        return L
    black = dark + faded * (_BLACK - dark)
    white = light + faded * (_WHITE - light)
    stretched = (L - dark) * ((white - black) / (light - dark)) + black
    return np.asarray(np.clip(stretched, 0, 100), np.float32)


def substance(L: Float) -> float:
    """How much there is to see: 0 for a flat frame, whose colour nothing tells, 1 for a photo.

    Args:
        L: float32 [h, w] in [0, 100].
    """
    dark, light = _ends(L)
    return _share(light - dark - _FLAT[0], _FLAT[1] - _FLAT[0])


def _ends(L: Float) -> tuple[float, float]:
    """The percentiles `_DARK` and `_LIGHT`, each the nearest value."""
    # One by one: a fifth of what NumPy takes for both at once.
    places = (round((L.size - 1) * percent / 100) for percent in (_DARK, _LIGHT))
    dark, light = (float(np.partition(L, place, axis=None)[place]) for place in places)
    return dark, light


def _share(value: float, whole: float) -> float:
    return float(np.clip(value / whole, 0, 1))
