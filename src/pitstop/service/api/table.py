"""Every operation of the API, one line each."""

from __future__ import annotations

from typing import Any

from pitstop.service.api import accounts, acting, admitting, mending, printing, reading, shapes, telling, training
from pitstop.service.api.operation import Operation, Page
from pitstop.service.api.paging import Part
from pitstop.service.auth.actor import READERS, TRAINER

_ADMIN = frozenset({"admin"})
_WRITERS = frozenset({"data_scientist", "operator"})
_APPROVERS = frozenset({"approver"})
_SPEAKERS = frozenset({"data_scientist", "operator", "approver", "auditor"})
_TRAINERS = _WRITERS | {TRAINER}
_MODEL = "/v1/models/{model}"
_ARTIFACTS = Part[shapes.Artifact]

_LISTS = {
    "incidents": ("incident", "List the incidents, the oldest first, each as its newest alarm left it."),
    "decisions": ("decision", "List what was decided about retraining, and why, the oldest first."),
    "releases": ("release", "List every stage of every version, the oldest first."),
}

OPERATIONS: tuple[Operation, ...] = (
    Operation("list_models", "GET", "/v1/models", reading.models, Part[shapes.Model], query=Page),
    Operation(
        "register_model", "POST", "/v1/models", acting.register, shapes.Model, _ADMIN, shapes.NewModel, status=201
    ),
    Operation("get_model", "GET", _MODEL, reading.model, shapes.Model),
    *(
        Operation(f"list_{name}", "GET", f"{_MODEL}/{name}", reading.of_kind(kind), _ARTIFACTS, query=Page, says=said)
        for name, (kind, said) in _LISTS.items()
    ),
    Operation("list_artifacts", "GET", f"{_MODEL}/artifacts", reading.artifacts, _ARTIFACTS, query=reading.OfKind),
    Operation("get_artifact", "GET", f"{_MODEL}/artifacts/{{id}}", reading.artifact, shapes.Artifact),
    Operation("get_challengers", "GET", f"{_MODEL}/challengers", reading.challengers, shapes.Standing),
    Operation(
        "deliver",
        "POST",
        f"{_MODEL}/challengers",
        training.deliver,
        shapes.JobShape,
        _TRAINERS,
        query=training.Brings,
        status=202,
        takes=training.FILE,
    ),
    Operation(
        "list_trainings",
        "GET",
        f"{_MODEL}/trainings",
        training.trainings,
        Part[shapes.TrainingShape],
        READERS | {TRAINER},
        query=Page,
    ),
    Operation(
        "get_training_rows",
        "GET",
        f"{_MODEL}/trainings/{{id}}/rows",
        training.rows,
        None,
        _TRAINERS,
        query=training.Rows,
        gives=training.ARROW,
    ),
    Operation("list_signals", "GET", f"{_MODEL}/signals", reading.signals, Part[shapes.Signal], query=reading.Signals),
    Operation("get_ledger", "GET", f"{_MODEL}/ledger", reading.ledger, dict[str, Any], query=reading.AsOf),
    Operation("get_served", "GET", f"{_MODEL}/served", reading.served, dict[str, Any], query=reading.At),
    Operation("get_evidence", "GET", f"{_MODEL}/evidence", reading.evidence, dict[str, Any], query=reading.AsOf),
    Operation("list_journal", "GET", f"{_MODEL}/journal", reading.journal, Part[shapes.JournalEntry], query=Page),
    Operation(
        "copy_journal", "GET", f"{_MODEL}/journal/copy", printing.copied, shapes.JournalCopy, query=printing.Since
    ),
    Operation(
        "get_printed",
        "GET",
        f"{_MODEL}/printed/{{command}}",
        printing.printed,
        shapes.Output,
        query=printing.Options,
    ),
    Operation("verify_journal", "GET", f"{_MODEL}/journal/verification", reading.verification, shapes.Verified),
    Operation(
        "order", "POST", f"{_MODEL}/orders", acting.order, shapes.JobShape, acting.ORDERING, shapes.NewOrder, status=202
    ),
    Operation("tick", "POST", f"{_MODEL}/ticks", acting.tick, shapes.JobShape, _WRITERS, status=202),
    Operation(
        "approve",
        "POST",
        f"{_MODEL}/approvals",
        acting.approve,
        shapes.Recorded,
        _APPROVERS,
        shapes.Approval,
        status=201,
    ),
    Operation(
        "override",
        "POST",
        f"{_MODEL}/overrides",
        acting.override,
        shapes.Recorded,
        _APPROVERS,
        shapes.Override,
        status=201,
    ),
    Operation(
        "attest",
        "POST",
        f"{_MODEL}/attestations",
        acting.attest,
        shapes.Recorded,
        _SPEAKERS,
        shapes.Attestation,
        status=201,
    ),
    Operation("list_declarations", "GET", f"{_MODEL}/declarations", reading.declarations, list[dict[str, Any]]),
    Operation(
        "declare",
        "POST",
        f"{_MODEL}/declarations",
        acting.declare,
        shapes.Recorded,
        _SPEAKERS,
        shapes.Declaration,
        status=201,
    ),
    Operation(
        "report",
        "POST",
        f"{_MODEL}/declarations/{{id}}/reports",
        acting.report,
        shapes.Recorded,
        _SPEAKERS,
        shapes.Report,
        status=201,
    ),
    *(
        Operation(name, "POST", f"{_MODEL}/incidents/{{id}}/{path}", do, shapes.Recorded, _WRITERS, body, status=201)
        for name, path, do, body in (
            ("assign", "assignments", acting.assign, shapes.Assignment),
            ("snooze", "snoozes", acting.snooze, shapes.Said),
            ("comment", "comments", acting.comment, shapes.Said),
            ("close", "closings", acting.close, shapes.Closing),
        )
    ),
    Operation(
        "list_channels", "GET", "/v1/channels", telling.channels, Part[accounts.ChannelShape], _WRITERS, query=Page
    ),
    Operation(
        "make_channel",
        "POST",
        "/v1/channels",
        telling.make_channel,
        accounts.MadeChannel,
        _ADMIN,
        accounts.NewChannel,
        status=201,
        secret=True,
    ),
    Operation("remove_channel", "DELETE", "/v1/channels/{name}", telling.remove_channel, None, _ADMIN, status=204),
    Operation(
        "list_deliveries",
        "GET",
        "/v1/deliveries",
        telling.deliveries,
        Part[accounts.DeliveryShape],
        _WRITERS,
        query=Page,
    ),
    Operation(
        "list_quarantine",
        "GET",
        "/v1/quarantine",
        mending.quarantine,
        Part[shapes.QuarantinedShape],
        _WRITERS,
        query=Page,
    ),
    Operation(
        "get_quarantined", "GET", "/v1/quarantine/{number}", mending.quarantined, shapes.QuarantinedShape, _WRITERS
    ),
    Operation(
        "mend",
        "POST",
        "/v1/quarantine/{number}/mend",
        mending.mend,
        shapes.QuarantinedShape,
        _WRITERS,
        shapes.Mending,
        status=202,
    ),
    Operation(
        "discard",
        "POST",
        "/v1/quarantine/{number}/discard",
        mending.discard,
        shapes.QuarantinedShape,
        _WRITERS,
        status=202,
    ),
    Operation("list_jobs", "GET", "/v1/jobs", acting.jobs, Part[shapes.JobShape], query=Page),
    Operation("get_job", "GET", "/v1/jobs/{id}", acting.job, shapes.JobShape),
    Operation("cancel_job", "POST", "/v1/jobs/{id}/cancel", acting.cancel, shapes.JobShape, _WRITERS),
    Operation("get_me", "GET", "/v1/me", admitting.me, accounts.Me),
    Operation("list_keys", "GET", "/v1/keys", admitting.keys, Part[accounts.KeyShape], query=Page),
    Operation(
        "make_key",
        "POST",
        "/v1/keys",
        admitting.make_key,
        accounts.MadeKey,
        body=accounts.NewKey,
        status=201,
        secret=True,
    ),
    Operation("revoke_key", "DELETE", "/v1/keys/{prefix}", admitting.revoke_key, None, status=204),
    Operation("list_users", "GET", "/v1/users", admitting.users, Part[accounts.UserShape], _ADMIN, query=Page),
    Operation(
        "make_user",
        "POST",
        "/v1/users",
        admitting.make_user,
        accounts.UserShape,
        _ADMIN,
        accounts.NewUser,
        status=201,
    ),
    Operation(
        "change_user",
        "PATCH",
        "/v1/users/{user}",
        admitting.change_user,
        accounts.UserShape,
        _ADMIN,
        accounts.UserChange,
    ),
)
