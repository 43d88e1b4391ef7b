"""What people do on the pages: plain forms, the same functions as the commands, the actor's name in the journal.

A form that is refused comes back as a page that says why; one that is accepted leads back to where it stood (303), so
loading again repeats nothing.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pitstop.compliance import handling, statements
from pitstop.compliance.facts import Artifact, Facts
from pitstop.errors import PitstopError, ReleaseError
from pitstop.loop.auditing import asked_packs, write_evidence
from pitstop.loop.orders import Action, Order
from pitstop.loop.recalling import checked, facts_of
from pitstop.service.auth.actor import ROLES
from pitstop.service.auth.rules import requires
from pitstop.service.auth.separation import MAY_ORDER, require_may_release, require_not_author
from pitstop.service.site import summaries
from pitstop.service.site.gather.handled import SAID, handled
from pitstop.service.site.refreshing import refresh
from pitstop.service.site.rendering import page
from pitstop.service.site.shown import WRITERS, Site, actor
from pitstop.store.home import Home

Act = Callable[[Site, Request], Response]
TEXT_LIMIT = 4_000


def observed(request: Request) -> dict[str, str]:
    """Return when something was said, and by whom it was sent: kept beside a statement, and no part of its id."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"recorded": now, "login": actor(request).name, "via": actor(request).via}


def form_of(request: Request) -> FormData:
    """Return the form of a request; the endpoint runs in a thread, and the form was read before (see `routes`)."""
    found: FormData = request.state.form
    return found


def words(form: FormData, name: str) -> str:
    """Return a field of a form as text, at most `TEXT_LIMIT` characters."""
    return str(form.get(name, "")).strip()[:TEXT_LIMIT]


def refused(request: Request, error: PitstopError, back: str) -> Response:
    """Return the page that says why something was not done."""
    return page(request, "refused.html", 409, message=str(error), back=back)


# What is said about an incident.


def _assign(site: Site, request: Request) -> Response:
    """Record who looks after an incident."""
    form, by = form_of(request), actor(request).person
    to = by if form.get("mine") else words(form, "to")
    return _say(
        site,
        request,
        lambda facts, name: handling.assign(facts, name, to=to, by=by, observed=observed(request)),
    )


def _snooze(site: Site, request: Request) -> Response:
    """Record that an incident can wait until it gets worse."""
    form, by = form_of(request), actor(request).person
    return _say(
        site,
        request,
        lambda facts, name: handling.snooze(facts, name, by=by, text=words(form, "text"), observed=observed(request)),
    )


def _comment(site: Site, request: Request) -> Response:
    """Record what somebody wrote."""
    form, by = form_of(request), actor(request).person
    return _say(
        site,
        request,
        lambda facts, name: handling.comment(facts, name, by=by, text=words(form, "text"), observed=observed(request)),
    )


def _close(site: Site, request: Request) -> Response:
    """Record what became of an incident."""
    form, by = form_of(request), actor(request).person
    return _say(
        site,
        request,
        lambda facts, name: handling.close(
            facts, name, verdict=words(form, "verdict"), by=by, text=words(form, "text"), observed=observed(request)
        ),
    )


def _say(site: Site, request: Request, say: Callable[[Facts, str], Artifact]) -> Response:
    model, incident = request.path_params["model"], request.path_params["incident"]
    back = f"/models/{quote(model, safe='')}/incidents/{quote(incident, safe='')}"
    document = site.document(model, f"incident:{incident}")
    try:
        with site.writing(model) as home:
            facts = facts_of(home, model)
            _keep(home, model, say(facts, incident))
            said = [item for kind in SAID for item in home.artifacts(kind, model)]
            size = home.journal_head().size
    except PitstopError as error:
        return refused(request, error, back)
    stand = handled(incident, said)
    sizes = [(alarm["monitor"], alarm["size"]) for alarm in document["alarm_rows"]]
    state = stand.state(sizes, recovered=document["recovered"])
    with site.workspace.fleet.write() as connection:
        summaries.restate(connection, model, incident, state, {"assigned": stand.assigned}, size)
    return RedirectResponse(f"{back}#timeline", 303)


def _keep(home: Home, model: str, said: Artifact) -> None:
    with home.transaction() as store:
        store.put_artifact(said.content, said.kind, said.id, said.at, said.caused_by, model)


# What is ordered.


def _retrain(site: Site, request: Request) -> Response:
    """Fit a challenger on the labels known now and put it in shadow."""
    return _order(site, request, "retrain")


def _release(site: Site, request: Request) -> Response:
    """Make a version in shadow the champion, unless a pack that binds objects."""
    return _order(site, request, "release")


def _rollback(site: Site, request: Request) -> Response:
    """Go back to the last version that was good."""
    return _order(site, request, "rollback")


def _reject(site: Site, request: Request) -> Response:
    """Give a version in shadow up."""
    return _order(site, request, "retire")


def _order(site: Site, request: Request, action: Action) -> Response:
    model, form = request.path_params["model"], form_of(request)
    there = words(form, "back")
    own = f"/models/{quote(model, safe='')}"
    back = there if there.startswith(f"{own}/") else f"{own}/releases"
    version, by = words(form, "version").removeprefix("v"), actor(request)
    number = int(version) if version.isascii() and version.isdigit() else None
    try:
        if version and number is None:
            msg = f"got the version {version[:40]!r}; expected a number, such as 2"
            raise ReleaseError(msg)
        # Refuses here, at once, what the job would refuse: an order without a reason, or an author's own model.
        order = Order(action, by.person, words(form, "reason"), number, words(form, "recipe"))
        if action == "release" and by.via != "local":
            with Home.open(site.registered(model).home, read_only=True) as home:
                require_may_release(home, model, number, by.person)
        arguments = {
            "action": order.action,
            "by": order.by,
            "reason": order.reason,
            "version": order.version,
            "recipe": order.recipe,
            "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        job = site.submit("order", model, arguments, by=by.name)
    except PitstopError as error:
        return refused(request, error, back)
    return RedirectResponse(f"{back}?job={quote(job.id, safe='')}", 303)


def job_state(site: Site, request: Request) -> Response:
    """Return how a job stands, as the part of a page that asks for it again; a job that ended loads the page anew."""
    card = site.card(request.path_params["model"])
    found = site.job(request.path_params["job"], card) if card else None
    if card is None or found is None:
        raise HTTPException(404, "there is no such job of this model")
    answer = page(request, "job.html", job=found, model=card["model"])
    if found["ended"]:
        answer.headers["HX-Refresh"] = "true"
    return answer


# What is said about a release, and for the record.


def _approve(site: Site, request: Request) -> Response:
    """Record that an approver allows the release that waits."""
    text, by = words(form_of(request), "reason"), actor(request).person
    return _let_through(
        site, request, lambda facts: statements.approve(facts, by=by, text=text, observed=observed(request))
    )


def _let_through(site: Site, request: Request, say: Callable[[Facts], Artifact]) -> Response:
    """Record what lets a release pass, unless whoever says it ordered the model."""
    who, model = actor(request), request.path_params["model"]

    def checked_first(facts: Facts) -> Artifact:
        said = say(facts)
        if who.via != "local":
            with Home.open(site.registered(model).home, read_only=True) as home:
                require_not_author(home, model, str(said.content["challenger"]), who.person)
        return said

    return _state(site, request, "releases", checked_first)


def _override(site: Site, request: Request) -> Response:
    """Record that the release that waits may pass although an item is open."""
    form, by = form_of(request), actor(request).person
    item, text = words(form, "item"), words(form, "reason")
    return _let_through(
        site, request, lambda facts: statements.override(facts, item, by=by, text=text, observed=observed(request))
    )


def _attest(site: Site, request: Request) -> Response:
    """Record that a person says what no query can see."""
    form, by = form_of(request), actor(request).person
    item, text = words(form, "item"), words(form, "text")

    def say(facts: Facts) -> Artifact:
        packs = asked_packs(facts, (), default=("house_rules",))
        return statements.attest(facts, packs, item, by=by, text=text, observed=observed(request))

    return _state(site, request, "evidence", say)


def _state(site: Site, request: Request, tab: str, say: Callable[[Facts], Artifact]) -> Response:
    model = request.path_params["model"]
    back = f"/models/{quote(model, safe='')}/{tab}"
    try:
        with site.writing(model) as home:
            said = say(facts_of(home, model))
            _keep(home, model, said)
    except PitstopError as error:
        return refused(request, error, back)
    refresh(site.workspace, model)
    return RedirectResponse(f"{back}?said={quote(f'On record: {said.kind}.')}", 303)


def _verify(site: Site, request: Request) -> Response:
    """Check the journal now, all of it, and say what was found."""
    model = request.path_params["model"]
    with Home.open(site.registered(model).home, read_only=True) as home:
        found = checked(home)
    if found.ok:
        said = (
            f"The journal verifies: {found.size:,} entries, {found.signed_size:,} of them under a signed checkpoint, "
            f"root {found.root.hex()[:16]}."
        )
    else:
        said = "The journal does NOT verify: " + "; ".join(fault.sentence for fault in found.faults)
    return RedirectResponse(f"/models/{quote(model, safe='')}/evidence?said={quote(said[:300])}#journal", 303)


def _export(site: Site, request: Request) -> Response:
    """Write a sealed evidence pack and return it as a zip; the export itself goes into the journal."""
    model = request.path_params["model"]
    back = f"/models/{quote(model, safe='')}/evidence"
    try:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "pack"
            write_evidence(site.registered(model).home, model, out, observed=observed(request))
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(out.rglob("*")):
                    if path.is_file():
                        archive.write(path, f"{model}-evidence/{path.relative_to(out)}")
    except PitstopError as error:
        return refused(request, error, back)
    refresh(site.workspace, model)
    headers = {"content-disposition": f'attachment; filename="{model}-evidence.zip"'}
    return Response(packed.getvalue(), media_type="application/zip", headers=headers)


ON_INCIDENTS: Mapping[str, Act] = {
    "assign": requires(*WRITERS)(_assign),
    "snooze": requires(*WRITERS)(_snooze),
    "comment": requires(*ROLES)(_comment),
    "close": requires(*WRITERS)(_close),
}
ORDERS: Mapping[str, Act] = {
    "retrain": requires(*MAY_ORDER["retrain"])(_retrain),
    "release": requires(*MAY_ORDER["release"])(_release),
    "reject": requires(*MAY_ORDER["retire"])(_reject),
    "rollback": requires(*MAY_ORDER["rollback"])(_rollback),
    "approve": requires("approver")(_approve),
    "override": requires("approver")(_override),
}
ON_EVIDENCE: Mapping[str, Act] = {
    "attest": requires(*WRITERS, "auditor")(_attest),
    "verify": requires(*ROLES)(_verify),
    "export": requires(*WRITERS, "auditor")(_export),
}
