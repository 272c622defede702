"""How far pixels are from given places where lightness and colour change on the way."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy import sparse

Float = NDArray[np.float32]
Labels = NDArray[np.int32]

_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))


def nearest(plane: Float, labels: Labels, *, step: float) -> tuple[Float, Labels]:
    """Distance of every pixel from the nearest labelled one, and that one's label.

    The length of a way is the sum over its steps, to one of eight neighbours each, of the squared
    difference of the two values and of the step's own length (Dijkstra's shortest ways; of
    geodesic distances for spreading colour: Yatziv & Sapiro 2006). Squared, so that one edge counts
    for more than the many small differences of a texture.

    Args:
        plane: float32 [h, w].
        labels: int32 [h, w], at least one of them >= 0; -1 where there is none.
        step: cost of a step to the next pixel in a row or column; sqrt(2) of it diagonally.

    Returns:
        Distances float32 [h, w] and labels int32 [h, w].
    """
    from scipy.sparse.csgraph import dijkstra  # takes long, and only hints need it

    found, _, sources = dijkstra(
        _graph(plane, step),
        directed=False,
        indices=np.flatnonzero(labels.ravel() >= 0),
        return_predecessors=True,
        min_only=True,
    )
    distance = np.asarray(found, np.float32).reshape(labels.shape)
    return distance, np.asarray(labels.ravel()[sources].reshape(labels.shape), np.int32)


def from_each(plane: Float, places: NDArray[np.intp], *, step: float) -> Float:
    """Distance of every pixel from each of some places, a way's length as for `nearest`.

    Args:
        plane: float32 [h, w].
        places: [n], rows times w plus columns.
        step: as for `nearest`.

    Returns:
        float32 [n, h·w].
    """
    from scipy.sparse.csgraph import dijkstra

    found = dijkstra(_graph(plane, step), directed=False, indices=places)
    return np.asarray(found, np.float32)


def between(
    plane: Float, owners: Labels, cores: NDArray[np.bool_], *, step: float
) -> tuple[Float, Float]:
    """How far pixels are from the core of their own area, and from what is not of that area.

    A way from a core stays within its area; one from outside enters it once. The length of a way is
    as for `nearest`.

    Args:
        plane: float32 [h, w].
        owners: int32 [h, w], the area that a pixel is of.
        cores: bool [h, w], of each area.
        step: as for `nearest`.

    Returns:
        Two of float32 [h, w]; infinite where there is no core, or nothing outside.
    """
    from scipy.sparse.csgraph import dijkstra

    starts, ends, costs = _edges(plane, step)
    own = owners.ravel()
    same = own[starts] == own[ends]
    entering = np.full(plane.size, np.inf, np.float32)
    for pixels in (starts, ends):
        np.minimum.at(entering, pixels[~same], costs[~same])
    far = [np.full(plane.size, np.inf)] * 2
    if cores.any():
        graph = _matrix(starts[same], ends[same], costs[same], plane.size)
        sources = np.flatnonzero(cores.ravel())
        far[0] = dijkstra(graph, directed=False, indices=sources, min_only=True)
    border = np.flatnonzero(np.isfinite(entering)).astype(np.int32)
    if border.size:
        # One node more, for all that is outside.
        starts = np.concatenate([starts[same], np.full_like(border, plane.size)])
        ends = np.concatenate([ends[same], border])
        graph = _matrix(starts, ends, np.concatenate([costs[same], entering[border]]), len(own) + 1)
        far[1] = dijkstra(graph, directed=False, indices=plane.size)[:-1]
    own_core, outside_of_it = (np.asarray(each, np.float32).reshape(plane.shape) for each in far)
    return own_core, outside_of_it


def _graph(plane: Float, step: float) -> "sparse.csr_array[np.float64]":
    """The pixels, each with its eight neighbours."""
    return _matrix(*_edges(plane, step), plane.size)


def _matrix(
    starts: Labels, ends: Labels, costs: Float, nodes: int
) -> "sparse.csr_array[np.float64]":
    from scipy import sparse  # takes long, and only hints need it

    return sparse.csr_array((costs, (starts, ends)), shape=(nodes, nodes))


def _edges(plane: Float, step: float) -> tuple[Labels, Labels, Float]:
    """Each pixel with four of its eight neighbours, the others having it with theirs; costs."""
    rows, columns = plane.shape
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    ends: list[list[NDArray[np.int32]]] = [[], []]
    costs: list[Float] = []
    for down, right in _STEPS:
        here = slice(0, rows - down), slice(max(0, -right), columns - max(0, right))
        there = slice(down, rows), slice(max(0, right), columns - max(0, -right))
        apart = (plane[here] - plane[there]) ** 2
        costs.append((apart + np.float32(step * np.hypot(down, right))).ravel())
        ends[0].append(index[here].ravel())
        ends[1].append(index[there].ravel())
    start, end = (np.concatenate(each) for each in ends)
    return start, end, np.concatenate(costs)
