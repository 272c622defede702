"""Memory that was freed, given back to the system."""

import ctypes
import gc


def return_freed() -> None:
    """Collect garbage, and have glibc return what it keeps of freed memory.

    A model's weights are freed in pieces that glibc would keep for itself: with every version that
    follows another one the process would grow. Elsewhere than on glibc only garbage is collected.
    """
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return
