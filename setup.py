"""What pyproject.toml cannot say: a wheel has one name at its top, `chromaserve`.

The service, training and the bundled models are folders beside it in the repository, and inside it
in a wheel. An editable install leaves them where they are.
"""

import sys

from setuptools import find_packages, setup

CODE = ("app", "training")
INSIDE = (*CODE, "model_store")

if "editable_wheel" in sys.argv:
    setup(packages=["chromaserve", *CODE])
else:
    within = [package for name in CODE for package in find_packages(include=[f"{name}*"])]
    setup(
        packages=[
            *find_packages(include=["chromaserve*"]),
            *(f"chromaserve.{package}" for package in (*within, "model_store")),
        ],
        package_dir={f"chromaserve.{name}": name for name in INSIDE},
    )
