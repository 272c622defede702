"""The service for Ray Serve, by one import path in the repository and from a wheel.

`import_path: chromaserve.cluster.serving:build`
"""

from chromaserve.bundled import import_bundled

build = import_bundled("app.ray_serve").build
