"""Hands SageMaker's JSON lines over as they are: whoever knows the model's specification reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pitstop.cli.workspace_models import is_workspace, model_in
from pitstop.client.posting import Poster
from pitstop.errors import IngestError
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.ingest.sagemaker import SAGEMAKER, is_sagemaker
from pitstop.service.ingest.translating import sagemaker_batch

# Of one batch; a line is a request.
PART_BYTES = 8 << 20


def sagemaker_lines(content: bytes, *, stated: bool) -> list[bytes] | None:
    """Return the lines of SageMaker's, None for other content unless it is `stated` to be that."""
    if not stated and not is_sagemaker(content):
        return None
    return [line for line in content.split(b"\n") if line.strip()]


def hand_over_lines(
    kind: Literal["predictions", "labels"], target: str, lines: Sequence[bytes], model: str, key: str
) -> int:
    """Hand lines over to a service or a workspace; return how many were taken in.

    Raises `IngestError` for a folder, for a model that is not said, and for what a service refuses; `RecordError`.
    """
    if target.startswith(("http://", "https://")):
        return _post(kind, target, lines, model, key)
    workspace, count = Path(target), 0
    if not is_workspace(workspace):
        msg = f"{target} is no workspace, and a folder does not say what the values of SageMaker's lines are; give one"
        raise IngestError(msg)
    whose = model_in(workspace, model)
    with RegisteredSpecs(workspace) as specs, Inbox(workspace, specs) as inbox:
        spec = specs(whose)
        if spec is None:
            msg = f"no model {whose!r} is registered in {workspace}; register it, or check the name"
            raise IngestError(msg)
        for part, name, in_part in _parts(lines):
            inbox.accept_now(sagemaker_batch(spec, whose, kind, part, name=name)[0])
            count += in_part
    return count


def _post(kind: str, address: str, lines: Sequence[bytes], model: str, key: str) -> int:
    if not model:
        msg = "a service needs to be told whose rows these are; add --model NAME"
        raise IngestError(msg)
    poster, count = Poster(address, key), 0
    try:
        for part, name, in_part in _parts(lines):
            answer = poster.post(model, kind, part, SAGEMAKER, name)
            if answer.outcome != "taken":
                done = f"{count:,} lines are taken in; " if count else ""
                msg = f"{answer.detail}; {done}run the command again when that is mended: no row is stored twice"
                raise IngestError(msg)
            count += in_part
    finally:
        poster.close()
    return count


def _parts(lines: Sequence[bytes]) -> Iterator[tuple[bytes, str, int]]:
    """Iterate over (content, name, lines) of parts; a part's name is a digest of it."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        if held and size + len(line) > PART_BYTES:
            yield _part(held)
            held, size = [], 0
        held.append(line)
        size += len(line)
    if held:
        yield _part(held)


def _part(lines: Sequence[bytes]) -> tuple[bytes, str, int]:
    content = b"\n".join(lines)
    return content, hashlib.sha256(content).hexdigest(), len(lines)
