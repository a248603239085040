"""Writes a tree of simplestreams with the tool's own functions; run by the Python of the environment that has them.

Standard input is JSON: `directory`, where the tree is made; `items`, each with the four names that tell it from all others,
its `data` and the rest of what is said of it; and `updated`, a time of RFC 2822. Whoever signs is who GNUPGHOME and
SS_GPG_DEFAULT_KEY say.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from simplestreams import generate_simplestreams, util


def main() -> None:
    asked = json.load(sys.stdin)
    root = Path(asked["directory"])
    items = []
    for item in asked["items"]:
        names = [item.pop(name) for name in ("content_id", "product_name", "version_name", "item_name")]
        data = item.pop("data").encode()
        file = root / item["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        item |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}
        items.append(generate_simplestreams.Item(*names, item))
    said = {"updated": asked["updated"], "datatype": "image-downloads"}
    trees = generate_simplestreams.items2content_trees(items, said)
    for written in generate_simplestreams.write_streams(str(root), trees, asked["updated"]):
        sign(Path(written))


def sign(document: Path) -> None:
    """Puts a signed document beside one that is not, which names other signed ones if it names any."""
    signed = Path(util.signed_fname(str(document)))
    changed, content = util.make_signed_content_paths(document.read_text())
    if changed:
        signed.unlink(missing_ok=True)
        util.sign_content(content, str(signed))
    else:
        util.sign_file(str(document))


if __name__ == "__main__":
    main()
