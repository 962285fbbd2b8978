"""Files that stand for others which were not fetched: their names and suffixes are right, and no
reader of images or weights can say why it fails."""

import re

HEAD = 512
"""Bytes of a file that tell."""

_FORMS = (
    (
        rb"version https?://(git-lfs\.github\.com|hawser\.github\.com)/spec/",
        "a Git LFS pointer, which only names the file: git lfs pull fetches the file itself",
    ),
    (
        rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head)\b",
        "a web page, which was saved instead of the file",
    ),
    (rb"\Z", "empty"),
)


def stand_in(head: bytes) -> str:
    """What a file is by its first HEAD bytes, with what to do, to follow "it is"; empty if it
    stands for no other."""
    forms = ((re.compile(form, re.IGNORECASE | re.DOTALL), said) for form, said in _FORMS)
    return next((said for form, said in forms if form.match(head[:HEAD])), "")
