"""Where a run's training and validation loss part: the beginning of overfitting."""

PART_MARGIN = 0.05


def parting(train: list[float], val: list[float], margin: float = PART_MARGIN) -> int | None:
    """The epoch (from 1) at which training and validation loss part; None if they don't.

    After the epoch at which they are closest by ratio, the first one from which on, to the end,
    validation loss over training loss is more than `margin` above that ratio (or above 1, where
    that is more). Relative, as the splits needn't be equally hard, and as batch normalisation's
    moving averages lag in the first epochs.
    """
    ratios = [v / t for t, v in zip(train, val, strict=True)]
    closest = ratios.index(min(ratios))
    limit = (1 + margin) * max(1.0, ratios[closest])
    parted = None
    for epoch, ratio in enumerate(ratios[closest + 1 :], closest + 2):
        parted = (parted or epoch) if ratio > limit else None
    return parted
