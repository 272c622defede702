"""Debian's Firefox for Playwright, which drives it by WebDriver BiDi.

Playwright knows a later Firefox than Debian's. What stands between the two fills the gap, and hands
everything else on: a command that overrides media features is answered, for all that the tests need
are preferences; and downloads get the identifier that they have been told by since.

Playwright starts this module in place of Firefox, with Firefox's arguments.
"""

import asyncio
import json
import re
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

MISSING = "emulation.setMediaFeaturesOverride"
DOWNLOADS = ("browsingContext.downloadWillBegin", "browsingContext.downloadEnd")


async def relay(executable: str, *arguments: str) -> int:
    """Run Firefox, and say that it listens where its messages pass through here."""
    firefox = await asyncio.create_subprocess_exec(
        executable, *arguments, stderr=asyncio.subprocess.PIPE
    )
    assert firefox.stderr
    async for line in firefox.stderr:
        if found := re.search(rb"WebDriver BiDi listening on (ws://\S+)", line):
            break
    else:
        return await firefox.wait()
    target = found[1].decode() + "/session"

    async def both_ways(playwright: ServerConnection) -> None:
        async with connect(target, max_size=None, ping_interval=None) as browser:

            async def there() -> None:
                async for message in playwright:
                    asked = json.loads(message)
                    if asked["method"] == MISSING:
                        done = {"type": "success", "id": asked["id"], "result": {}}
                        await playwright.send(json.dumps(done))
                    else:
                        await browser.send(message)

            going = asyncio.create_task(there())
            async for message in browser:
                said = json.loads(message)
                if said.get("method") in DOWNLOADS:
                    said["params"].setdefault("download", said["params"]["url"])
                await playwright.send(json.dumps(said))
            going.cancel()

    async with serve(both_ways, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"WebDriver BiDi listening on ws://127.0.0.1:{port}", file=sys.stderr, flush=True)
        async for _ in firefox.stderr:
            pass
        return await firefox.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(relay(*sys.argv[1:])))
