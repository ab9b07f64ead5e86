"""Who may look: this machine alone, or whoever knows the token."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from email.message import Message
from typing import Optional
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Access:
    """The rules for one server.

    Attributes:
        token: What the address of every request must carry; None for a server that only this
            machine can reach.
    """

    token: Optional[str]

    @classmethod
    def for_address(cls, address: str) -> Access:
        """A loopback address needs no token, any other gets a random one."""
        loopback = ipaddress.ip_address(address).is_loopback
        return cls(None if loopback else secrets.token_urlsafe(16))

    def refusal(self, headers: Message, token: str, page: bool) -> Optional[str]:
        """Why a request is refused; None when it is not.

        Args:
            headers: Of the request.
            token: That its address carries; empty for none.
            page: Whether it asks for the page itself, which another site may link to.
        """
        if self.token is not None:
            if not secrets.compare_digest(token.encode(), self.token.encode()):
                return "the token is missing or wrong: open the address that bench-depth printed"
        # Another site's name may be made to lead to this machine (DNS rebinding); the browser then
        # takes its scripts for ours, but still says which name it asked for.
        elif not _is_loopback(headers.get("Host", "")):
            return "open this page as http://localhost or by its IP address"
        origin = headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != headers.get("Host"):
            return "this page is not for other sites"
        if not page and headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return "this page is not for other sites"
        return None


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
