"""Generated blocks in hand-written pages: found by their markers, and renewed in place.

A block is what stands between two comments, which no renderer shows:

    <!-- generated: settings host port -->
    <!-- end of generated -->

The first word after the colon names a maker, the others are its arguments.
"""

import re
from collections.abc import Callable, Mapping, Sequence

Maker = Callable[[Sequence[str]], str]
"""Makes a block's Markdown from the words behind the maker's name."""

_BLOCK = re.compile(
    r"^<!-- generated: (?P<words>[^>]+?) -->\n.*?^<!-- end of generated -->$", re.M | re.S
)


def renew(page: str, makers: Mapping[str, Maker]) -> str:
    """The page, Markdown, with every block of it made anew.

    Raises:
        KeyError: a block names a maker that there is not.
    """

    def made(block: re.Match[str]) -> str:
        name, *arguments = block["words"].split()
        return (
            f"<!-- generated: {block['words']} -->\n\n{makers[name](arguments).strip()}\n\n"
            "<!-- end of generated -->"
        )

    return _BLOCK.sub(made, page)
