"""What of a bundle has to be sent, and what the Pi already has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from bench_depth.core.errors import UserError
from ghostdepth_export.ship.deploy.ssh.answers import whole_number


@dataclass(frozen=True)
class Entry:
    """A file of a bundle, by checksum and size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class InstalledFiles:
    """The files that a Pi has below its prefix.

    Attributes:
        sha256: Checksum of each file, by its path from the prefix.
        sizes: Size in bytes of each file whose copy may be incomplete.
    """

    sha256: Mapping[str, str]
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class CopyPlan:
    """How a bundle gets to PREFIX/incoming/ID.

    Attributes:
        delete: Paths of damaged files, relative to the prefix.
        folders: Paths of folders to create, relative to the prefix.
        link: (from, to) relative to the prefix: equal files that are already there.
        send: Paths of the files to send, relative to the bundle.
        resume: Entries of `send` of which a first piece has arrived.
        to_send: Number of bytes still to be sent.
    """

    delete: list[str]
    folders: list[str]
    link: list[tuple[str, str]]
    send: list[str]
    resume: list[str]
    to_send: int

    def instructions(self) -> bytes:
        """The input of `prepare` in remote.sh."""
        lines = [f"delete\t{path}" for path in self.delete]
        lines += [f"folder\t{path}" for path in self.folders]
        lines += [f"link\t{old}\t{new}" for old, new in self.link]
        return "".join(f"{line}\n" for line in lines).encode()


def read_bundle(folder: Path) -> dict[str, Entry]:
    """The files of a bundle by their paths in it, like `models/a.tflite`.

    Raises:
        UserError: A name has a character that shells and tools on the way would misunderstand.
    """
    entries = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            if "\\" in name or not name.isprintable():
                raise UserError(f"{name!r}: a file name with such characters cannot be sent")
            data = path.read_bytes()
            entries[name] = Entry(hashlib.sha256(data).hexdigest(), len(data))
    return entries


def parse_listing(text: str) -> InstalledFiles:
    """Reads the answer of remote.sh's `list`.

    Raises:
        UserError: A size is no number.
    """
    sums, _, sizes = text.partition("\n\n") if not text.startswith("\n") else ("", "", text[1:])
    digests = (line.partition("  ") for line in sums.split("\n"))
    numbers = (line.partition(" ") for line in sizes.split("\n") if line)
    try:
        return InstalledFiles(
            {path: digest for digest, _, path in digests},
            {path: whole_number(size) for size, _, path in numbers},
        )
    except ValueError as error:
        raise UserError(f"the Pi's list of its files is not understood ({error})") from error


def make_copy_plan(
    entries: Mapping[str, Entry], listing: InstalledFiles, bundle_id: str
) -> CopyPlan:
    """Plans the copy that sends the fewest bytes.

    Args:
        entries: Files of the bundle.
        listing: Files on the Pi.
        bundle_id: Id in the manifest of the bundle.
    """
    incoming = f"incoming/{bundle_id}"
    # Another name could not be written into the instructions.
    places = {digest: path for path, digest in listing.sha256.items() if path.isprintable()}
    folders = {incoming, *(f"{incoming}/{PurePosixPath(name).parent}" for name in entries)}
    plan = CopyPlan([], sorted(folders), [], [], [], 0)
    missing = 0
    for name, entry in entries.items():
        path = f"{incoming}/{name}"
        if listing.sha256.get(path) == entry.sha256:
            continue
        arrived = listing.sizes.get(path, entry.bytes)
        resumable = 0 < arrived < entry.bytes and entry.sha256 not in places
        if path in listing.sha256 and not resumable:
            plan.delete.append(path)
        if entry.sha256 in places:
            plan.link.append((places[entry.sha256], path))
            continue
        plan.send.append(name)
        missing += entry.bytes
        if resumable:
            plan.resume.append(name)
            missing -= arrived
    return replace(plan, to_send=missing)


def space_needed(env_bytes: int, plan: CopyPlan) -> int:
    """Bytes on the Pi that a deployment takes: what is sent, and what is unpacked from it.

    Args:
        env_bytes: Size of the installed packages, from the manifest of the bundle.
        plan: Packages are taken to be installed there when none of them has to be sent.
    """
    new_packages = any(name.startswith("wheels/") for name in plan.send)
    return plan.to_send + (env_bytes if new_packages else 0)
