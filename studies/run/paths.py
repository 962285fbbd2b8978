"""Paths of a run: what was named is resolved when it begins, and means the same from any folder."""

import os
from dataclasses import replace
from pathlib import Path
from typing import overload

from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, is_run
from hnas.studies.trials.url import check_text

BROUGHT = ("digits",)
"""The images that need no folder."""


@overload
def here(data: str) -> str: ...
@overload
def here(data: None) -> None: ...
def here(data: str | None) -> str | None:
    """What `data` names: a folder of that name here, rather than the images that hnas brings."""
    own = data is not None and data in BROUGHT and Path(data).is_dir() and not is_run(Path(data))
    return f".{os.sep}{data}" if own else data


def from_anywhere(plan: Plan, begun: Run | None) -> Plan:
    """The plan with paths that mean the same from any folder; those that a run has stay."""
    source, stage1, pretrained = plan.data.source, plan.stage1, plan.pretrained
    if pretrained.file and (begun is None or pretrained != begun.plan.pretrained):
        pretrained = replace(pretrained, file=os.path.abspath(pretrained.file))
    if stage1.init_from and (begun is None or stage1.init_from != begun.plan.stage1.init_from):
        stage1 = replace(stage1, init_from=os.path.abspath(stage1.init_from))
    if source not in BROUGHT and (begun is None or source != begun.plan.data.source):
        from hnas.data.sources.load import located

        was = begun and begun.plan.data.source
        source = was if was == os.path.abspath(source) else located(source)
        check_text(source)
    data = replace(plan.data, source=source)
    return replace(plan, data=data, stage1=stage1, pretrained=pretrained)
