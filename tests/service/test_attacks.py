"""The payloads by which services of this kind were caught (paths, injection, scripts, bombs): each is refused, calmly.

Credentials: test_walk and test_login. Where messages may go: test_notify. What rows may hold: ingest.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from .conftest import HERE, Opened

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-0c1f"
TRAVERSALS = [
    *("../../../canary", "..%2f..%2f..%2fcanary", "..%252f..%252fcanary", "%2e%2e/%2e%2e/canary", "....//....//canary"),
    *("..\\..\\canary", "..%5c..%5ccanary", "/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "file:///etc/passwd"),
    *("canary%00.json", "..;/..;/canary", "#../canary", "%23..%2fcanary", ".%2e/canary", "%c0%ae%c0%ae/canary"),
    *(
        "?source=/etc/passwd",
        "%uff0e%uff0e/canary",
        "\u2025/canary",
        "..%ef%bc%8fcanary",
        "~root",
        "$HOME",
        "C:%5cboot.ini",
    ),
]
INJECTIONS = [
    *("' OR '1'='1", '" OR ""="', "1; DROP TABLE models; --", "loans' UNION SELECT password FROM users --", "%' --"),
    *(
        "{{225*225}}",
        "${225*225}",
        "<%= 225*225 %>",
        "#{225*225}",
        "{% raw %}",
        "{0.__class__}",
        "%s%s%s%n",
        "`id`",
        "$(id)",
        "; id",
        "| id",
    ),
    *("x\r\nSet-Cookie: a=b", "x%0d%0aSet-Cookie:%20a=b", "\x1b[2J", "\u202e", "=1+1", "@SUM(1)", "a" * 5_000),
]
SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "<svg/onload=alert(1)>",
    "'-alert(1)-'",
    "</textarea><script>alert(1)</script>",
    "{{constructor.constructor('alert(1)')()}}",
]


def places(text: str) -> list[str]:
    """Return addresses with a payload where a name, an id or a file is meant."""
    return [
        f"/v1/models/{text}",
        f"/v1/models/{text}/ledger",
        f"/v1/models/loans/artifacts/{text}",
        f"/v1/models/loans/artifacts?kind={text}",
        f"/v1/models/loans/served?at={text}",
        f"/v1/models/loans/journal?cursor={text}",
        f"/v1/jobs/{text}",
        f"/models/{text}",
        f"/models/loans/incidents/{text}",
        f"/models/loans/charts/{text}",
        f"/static/{text}/{text}",
        f"/static/x/{text}",
        f"/search?q={text}",
        f"/login?next={text}",
    ]


@pytest.mark.anyio
async def test_no_path_leads_out_of_the_service(opened: Opened, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "w", tmp_path / "home"):
        (folder / "canary").write_text(CANARY, encoding="utf-8")
        (folder / "canary.json").write_text(CANARY, encoding="utf-8")
    async with opened.client(**opened.key("admin")) as http:
        for payload in TRAVERSALS:
            for path in places(payload):
                answer = await http.get(path)
                assert answer.status_code < 500, (path, answer.text)
                assert CANARY not in answer.text, path
                assert "root:x:" not in answer.text, path


@pytest.mark.anyio
async def test_what_is_typed_is_a_value_and_never_a_command(opened: Opened) -> None:
    async with opened.client(**opened.key("admin")) as http:
        before = (await http.get("/v1/models")).json()
        for payload in INJECTIONS:
            for path in places(quote(payload, safe="")):
                answer = await http.get(path)
                assert answer.status_code < 500, (path, answer.text)
                assert "set-cookie" not in answer.headers, path
                assert "50625" not in answer.text, path  # 225 * 225, had anybody worked it out
            for path, body in (
                ("/v1/models/loans/orders", {"action": "retrain", "reason": payload[:4_000]}),
                ("/v1/users", {"name": payload, "password": "a long pass phrase", "roles": ["viewer"]}),
                ("/v1/keys", {"name": payload, "roles": ["viewer"]}),
                ("/v1/models", {"spec": payload, "start": payload[:64], "owner": payload[:200]}),
            ):
                answer = await http.post(path, json=body)
                assert answer.status_code < 500, (path, payload, answer.text)
                assert answer.status_code in {202, 401, 403, 409, 422}, (path, payload, answer.text)
        assert (await http.get("/v1/models")).json() == before
        assert [user.name for user in opened.people.users()] == []


@pytest.mark.anyio
async def test_what_somebody_wrote_is_shown_as_text(opened: Opened) -> None:
    opened.people.add("root", "a long pass phrase", ["admin"], opened.now)
    session = opened.people.begin("root", "a long pass phrase", opened.now)
    async with opened.client(cookie=f"pitstop_session={session}", origin=HERE) as http:
        for payload in SCRIPTS:
            said = await http.post(
                "/v1/models/loans/declarations", json={"severity": "serious", "text": payload, "aware_at": "2024-05-01"}
            )
            assert said.status_code == 201, said.text
            for path in ("/", "/incidents", f"/search?q={quote(payload)}", f"/login?next={quote(payload)}"):
                page = await http.get(path)
                assert page.status_code < 500
                assert payload not in page.text or "<" not in payload, path
                policy = page.headers["content-security-policy"]
                assert "unsafe-inline" not in policy
                assert "unsafe-eval" not in policy
                assert page.headers["x-content-type-options"] == "nosniff"
        answer = await http.get("/v1/models/loans/artifacts?limit=200")
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.anyio
async def test_bombs_and_nonsense_are_refused_before_they_go_off(opened: Opened) -> None:
    deep = "[" * 200_000 + "]" * 200_000
    bodies = [
        *(
            b"",
            b"\x00",
            b"\xff\xfe",
            b"{",
            b"null",
            b"[]",
            b'""',
            b"1e400",
            b"NaN",
            b"-0",
            b'{"a":1,"a":2}',
            b"\xed\xa0\x80",
        ),
        deep.encode(),
        ('{"a":' * 50_000 + "1" + "}" * 50_000).encode(),
        json.dumps({"action": "retrain", "reason": "x" * 900_000}).encode(),
        b'{"action":"retrain","reason":"x","version":' + b"9" * 100_000 + b"}",
        b'{"action":"retrain","reason":"x","version":1e308}',
        b'{"action":"retrain","reason":"\\ud800"}',
        pickle.dumps(Path("/etc/passwd")),
        b"x" * ((1 << 20) + 1),
    ]
    async with opened.client(**opened.key("admin")) as http:
        for path in (
            "/v1/models/loans/orders",
            "/v1/models",
            "/v1/keys",
            "/v1/users",
            "/v1/channels",
            "/login",
            "/setup",
        ):
            for body in bodies:
                for kind in (
                    "application/json",
                    "multipart/form-data; boundary=x",
                    "application/x-www-form-urlencoded",
                ):
                    answer = await http.post(path, content=body, headers={"content-type": kind, "origin": HERE})
                    assert 200 <= answer.status_code < 500, (path, body[:50], answer.text)
                    assert answer.status_code not in {200, 201, 202} or path in {"/login", "/setup"}, (path, body[:50])
        for cursor in ("x", "YWZ0ZXI6LTE", "YWZ0ZXI6OTk5OTk5OTk5OTk5OTk5OTk5", "=" * 100, "YWZ0ZXI6MS4w"):
            assert (await http.get("/v1/models", params={"cursor": cursor})).status_code == 404


@pytest.mark.anyio
async def test_a_specification_that_would_run_a_program_is_refused(opened: Opened) -> None:
    spec = '[model]\nname = "evil"\ntask = "binary"\n[columns]\ntime = "at"\nfeatures = ["a"]\nid = "id"\nlabel = "y"\n'
    async with opened.client(**opened.key("admin")) as http:
        for more in (
            '[trainer]\ncommand = ["sh", "-c", "id"]\n',
            '[serving]\ncommand = ["sh", "-c", "id"]\n',
            '[serving]\nfolder = "/etc"\n',
            '[serving]\nkserve = "/etc/cron.d/x"\nkserve_storage = "s3://models"\n',
            '[serving]\ntargets = ["folder"]\n',
            '[rules]\npacks = ["../../../etc/passwd"]\n',
        ):
            answer = await http.post("/v1/models", json={"spec": spec + more})
            assert answer.status_code == 422, (more, answer.text)
        assert not opened.workspace.knows("evil")
        assert (await http.post("/v1/models", json={"spec": spec})).status_code == 201


@pytest.mark.parametrize(
    "code", ["import pickle", "from joblib import load", "import yaml", "from pickle import loads as f"]
)
@pytest.mark.parametrize("place", ["service", "serving", "loop", "retraining"])
def test_the_lint_forbids_what_makes_objects_of_bytes(code: str, place: str) -> None:
    argv = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename"]
    done = subprocess.run(
        [*argv, f"src/pitstop/{place}/new.py", "-"],
        input=f"{code}\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "TID251" in done.stdout


@pytest.mark.anyio
async def test_digits_of_other_scripts_are_no_numbers(opened: Opened) -> None:
    async with opened.client(**opened.key("approver")) as http:
        assert (await http.get("/incidents", params={"after": "²"})).status_code == 200
        asked = {"version": "v²", "reason": "a test"}
        answer = await http.post("/models/loans/orders/reject", data=asked)
        assert (answer.status_code, "expected a number" in answer.text) == (409, True)
