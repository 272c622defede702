"""What vividness makes of a network's answers is calibrated to mean what it says."""

import numpy as np
import pytest

from chromaserve.color.vividness import livened
from training.config import Publish
from training.liveliness import calibrate_blend
from training.vividness import Answers, Ruler, blend, calibrate_vividness

from .test_vividness import answers as answers


def test_colourfulness_rises_evenly_from_the_regressions_to_the_truths(answers: Answers) -> None:
    settings = calibrate_vividness(answers, Publish()).settings
    found = calibrate_blend(answers, settings)
    ruler = Ruler(answers)
    network = {}
    for v in (0.0, 0.5, 1.0):
        own = np.interp(v, np.linspace(0, 1, len(found.blend.asked)), found.blend.asked)
        vividness = np.full(len(answers.L), own, np.float32)
        annealed = answers.annealed[settings.temperature]
        ab = np.asarray(blend(answers.regression, annealed, vividness, settings), np.float32)
        network[v] = ruler.ratio(np.stack([livened(one, v, found.blend) for one in ab]))
    assert network[1.0] == pytest.approx(1, abs=0.02)
    assert network[0.5] == pytest.approx((network[0.0] + 1) / 2, abs=0.03)
    reached = network[0.0] + found.default_vividness * (1 - network[0.0])
    assert settings.default_colourfulness - 0.01 <= reached <= settings.default_colourfulness + 0.06
