"""The page and its content security policy."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources


class Page:
    """The HTML of the page, and a policy that allows only its own script and style."""

    def __init__(self) -> None:
        folder = resources.files("bench_depth.live.web")
        self.html = re.sub(
            rb"@([\w.]+)",
            lambda name: folder.joinpath(name[1].decode()).read_bytes(),
            folder.joinpath("page.html").read_bytes(),
        )
        self.policy = "; ".join(
            [
                "default-src 'none'",
                f"script-src {_hash_of('script', self.html)}",
                f"style-src {_hash_of('style', self.html)}",
                "connect-src 'self'",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ]
        )


def _hash_of(element: str, html: bytes) -> str:
    (text,) = re.findall(rf"<{element}>(.*?)</{element}>".encode(), html, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
