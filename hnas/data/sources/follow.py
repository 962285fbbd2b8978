"""Following a source: whether the images that were packed are still those that it has."""

import os

from hnas.data.sources.listing import Listing
from hnas.data.sources.pack import Pack
from hnas.data.sources.pack_files import PARTS, Shard, shard_name
from hnas.data.sources.shards import file_name

LOOKED = 100_000
"""Most images of a pack whose files a search looks at; `hnas data check` looks at all."""


def changes(pack: Pack, found: Listing) -> str:
    """What is new, gone, or of another time in the source, one sentence; empty if nothing is."""
    packed: dict[str, tuple[int, tuple[str, str] | None]] = {}
    for part in PARTS:
        for i in range(len(pack.shards[part])):
            path = pack.folder / f"{shard_name(part, i)}.json"
            shard = Shard.from_json(path.read_bytes(), path, pack.index)
            if not shard.times:
                return ""  # an older pack
            uses = [(part, pack.index.classes[label]) for label in shard.labels.tolist()]
            names, unused = (*shard.names, *shard.skipped), [None] * len(shard.skipped)
            packed |= dict(zip(names, zip(shard.times, [*uses, *unused], strict=True), strict=True))
    now = {
        file_name(file.path, found.name): (
            os.stat(file.archive or file.path).st_mtime_ns,
            (part, found.classes[file.label]),
        )
        for part, files in zip(PARTS, found.parts, strict=True)
        for file in files
    }
    both = [(packed[name], now[name]) for name in packed.keys() & now.keys()]
    counts = {
        "of another time": sum(was[0] != new[0] for was, new in both),
        "of another class or part": sum(was[1] not in (None, new[1]) for was, new in both),
        "new": len(now.keys() - packed.keys()),
        "gone": len(packed.keys() - now.keys()),
    }
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    if not told:
        return ""
    return (
        f"{found.name} has changed since it was packed (images: {told}). Pack it again to follow: "
        f"hnas data pack {found.name} --to {pack.folder} "
        f"{pack.index.size.packing}"
    )
