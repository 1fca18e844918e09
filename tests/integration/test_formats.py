# SPDX-License-Identifier: Apache-2.0
"""Webhook formats, judged by others' software and by the rules in the services' documents.

tests/tools/render-formats writes what webhooks would post about one event of every kind."""

import copy
import json
import os
import re
import shutil
import subprocess
import time

import jsonschema
import pytest
from alertmanager import Alertmanager
from emulator import Emulator
from receiver import Receiver
from rosterd import Rosterd, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("abs_top_builddir", os.getcwd())
NODE_MODULES = os.environ.get("ROSTERD_NODE_MODULES", os.path.join(TOP, "build-node", "node_modules"))
DOC = os.path.join(TOP, "doc", "webhooks.md")
FORMATS = ["json", "cloudevents", "slack", "teams", "pagerduty", "alertmanager"]


@pytest.fixture(scope="module")
def payloads(tmp_path_factory):
    """Every payload by the name of its file, without .json, as text."""
    folder = tmp_path_factory.mktemp("payloads")
    subprocess.run([os.path.join(BUILD, "tests", "tools", "render-formats"), folder, str(int(time.time()))],
                   check=True, timeout=60)
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.json"))}


def of(payloads, name):
    """The payloads of one format, as JSON."""
    found = {key: json.loads(text) for key, text in payloads.items() if key.startswith(name + ".")}
    assert len(found) > 5
    return found


def items(payload):
    return payload if isinstance(payload, list) else [payload]


def node(script, requests):
    """What a script of tests/node makes of the requests."""
    program = shutil.which("node") or shutil.which("nodejs")
    if not program or not os.path.isdir(NODE_MODULES):
        pytest.fail("this needs Node.js and the npm packages of tests/node in ROSTERD_NODE_MODULES, which is "
                    f"{NODE_MODULES}: './setup.sh check' installs them, or copy tests/node/package*.json to a "
                    "folder, run 'npm ci' there, and set ROSTERD_NODE_MODULES to its node_modules")
    done = subprocess.run([program, os.path.join(TOP, "tests", "node", script)], input=json.dumps(requests),
                          env=dict(os.environ, NODE_PATH=NODE_MODULES), capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ---- json ------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def schema():
    with open(os.path.join(TOP, "doc", "event.schema.json"), encoding="utf-8") as f:
        found = json.load(f)
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def test_json_keeps_to_its_schema(payloads, schema):
    seen = set()
    for name, payload in of(payloads, "json").items():
        for event in items(payload):
            errors = [e.message for e in schema.iter_errors(event)]
            assert not errors, (name, errors)
            seen.add((event["type"], "minimal" in name))
    assert len(seen) == 34  # 17 types, full and minimal


def test_the_schema_names_every_type(payloads, schema):
    types = {e["type"] for e in json.loads(payloads["json.list"])}
    told = schema.schema["$defs"]
    assert types == set(told["userEvent"]["properties"]["type"]["enum"] +
                        told["accountEvent"]["properties"]["type"]["enum"])


def mutations(event):
    """The same event with one thing wrong with it."""
    for key in event:
        without = copy.deepcopy(event)
        del without[key]
        yield f"without {key}", without
    for key in ("account", "user", "detail"):
        if key in event:
            more = copy.deepcopy(event)
            more[key]["personal_pin"] = "1234"
            yield f"more in {key}", more
    yield "another member", dict(event, personal_pin="1234")
    yield "another type", dict(event, type="user.unknown")
    yield "another time", dict(event, time="2026-02-03T04:05:06Z")
    yield "seq as text", dict(event, seq=str(event["seq"]))
    if event.get("changes"):
        wrong = copy.deepcopy(event)
        wrong["changes"][0]["field"] = "personal_pin"
        yield "the PIN has changed", wrong


def test_the_schema_is_strict(payloads, schema):
    for name in ("json.user.suspended", "json.user.updated.minimal", "json.sync.failed", "json.sync.baseline"):
        for what, event in mutations(json.loads(payloads[name])):
            assert not schema.is_valid(event), (name, what)


def test_extra_is_free(payloads, schema):
    event = json.loads(payloads["json.user.suspended"])
    event["user"]["extra"] = {"Anything": [{"at": {"all": None}}]}
    assert schema.is_valid(event)


def test_minimal_leaves_the_id(payloads):
    for event in json.loads(payloads["json.list.minimal"]):
        assert "user" not in event or list(event["user"]) == ["user_id"]


def every_event(chime, roster):
    """Changes at the service, run by run, that raise every type of event."""
    def user(index, **members):
        chime.patch_user(ids[index], **members)

    ids = [u["UserId"] for u in chime.users()]
    chime.patch_users({"UserRegistrationStatus": "Registered", "UserInvitationStatus": "Accepted",
                       "PersonalPIN": PIN, "DisplayName": "Ana Lovelace"}, count=60)
    roster.once()
    user(0, UserRegistrationStatus="Suspended")
    user(1, UserRegistrationStatus="Unregistered")
    user(2, UserRegistrationStatus="Released", Nickname={"of": ["countess"]})
    user(3, UserInvitationStatus="Pending", PersonalPIN="1" + PIN)
    user(4, UserInvitationStatus="Failed")
    user(5, UserInvitationStatus="Bounced")
    user(6, PrimaryEmail="ana@example.com")
    gone = chime.get_user(ids[7])
    chime.delete_user(ids[7])
    roster.once()
    user(0, UserRegistrationStatus="Registered")
    user(1, UserRegistrationStatus="Registered")
    user(3, UserInvitationStatus="Accepted")
    chime.add_user(gone)
    roster.once()
    chime.fault("status", exception="ForbiddenException")
    roster.once(status=1)
    chime.delete_users(ids[20:50])
    roster.once()


PIN = "7788991122"


@pytest.mark.parametrize("personal_data", ["full", "minimal"])
def test_what_the_daemon_posts_keeps_to_the_schema(tmp_path, schema, personal_data):
    os.chmod(tmp_path, 0o750)
    with Emulator(users=60) as chime, Receiver() as receiver:
        roster = Rosterd(tmp_path, chime, {"acme": {"baseline": "events"}}, personal_data=personal_data,
                         store_personal_pin="yes")
        roster.webhooks["ops"] = {"url": receiver.url, "batch": "100"}
        roster.write_config()
        every_event(chime, roster)
        bodies = [json.loads(request.body) for request in receiver.taken()]
        assert roster.sql("SELECT count(*) AS n FROM users WHERE personal_pin IS NOT NULL")[0]["n"] > 50
    events = [event for body in bodies for event in body]
    for event in events:
        errors = [e.message for e in schema.iter_errors(event)]
        assert not errors, (event, errors)
    told = schema.schema["$defs"]
    assert {e["type"] for e in events} == set(told["userEvent"]["properties"]["type"]["enum"] +
                                              told["accountEvent"]["properties"]["type"]["enum"])
    text = json.dumps(bodies)
    assert PIN not in text and "personal_pin" not in text and "PersonalPIN" not in text
    for personal in ("Lovelace", "countess", "ana@example.com"):
        assert (personal in text) == (personal_data == "full")


# ---- signatures --------------------------------------------------------------------------------------

def test_signatures_by_the_standard_webhooks_library(payloads):
    signed = json.loads(payloads["signed"])
    headers = {"webhook-id": signed["id"], "webhook-timestamp": str(signed["timestamp"]),
               "webhook-signature": signed["signature"]}
    first, second = signed["secrets"]
    assert len(signed["signature"].split(" ")) == 2

    def request(secret=first, body=signed["body"], **changed):
        return {"secret": secret, "body": body, "headers": {**headers, **changed}}

    answers = node("verify-signatures.js", [
        request(),
        request(second),
        request("whsec_" + "QUJD" * 8),
        request(body=signed["body"].replace("acme", "acne")),
        request(**{"webhook-id": "evt_other"}),
        request(**{"webhook-timestamp": str(signed["timestamp"] - 600)}),
        request(**{"webhook-signature": signed["signature"].split(" ")[1]}),
    ])
    assert answers[:2] == [None, None]
    for answer in answers[2:]:
        assert answer and answer.startswith("WebhookVerificationError"), answers


# ---- cloudevents -------------------------------------------------------------------------------------

TYPES = {"single": "application/cloudevents+json", "list": "application/cloudevents-batch+json"}


def test_cloudevents_by_the_sdk(payloads, schema):
    names = [name for name in payloads if name.startswith("cloudevents.")]
    requests = [{"type": TYPES["list" if ".list" in name else "single"], "body": payloads[name]} for name in names]
    seen = 0
    for name, events in zip(names, node("parse-cloudevents.js", requests), strict=True):
        assert isinstance(events, list), (name, events)
        sent = items(json.loads(payloads[name]))
        assert len(events) == len(sent)
        for event, original in zip(events, sent, strict=True):
            data = event["data"]
            schema.validate(data)
            assert event == original, name
            assert event["id"] == data["id"]
            assert event["source"] == "/rosterd/acme"
            assert event["type"] == "rosterd." + data["type"]
            assert event.get("subject") == data.get("user", {}).get("user_id")
            assert int(event["sequence"]) == data["seq"]
            seen += 1
    assert seen == 4 * 17


def test_the_sdk_refuses_what_is_wrong(payloads):
    good = json.loads(payloads["cloudevents.user.suspended"])
    wrong = [{k: v for k, v in good.items() if k != "source"}, dict(good, type=""), dict(good, specversion="7")]
    answers = node("parse-cloudevents.js", [{"type": TYPES["single"], "body": json.dumps(w)} for w in wrong])
    assert all(isinstance(answer, str) for answer in answers), answers


# ---- slack: docs.slack.dev, "Block Kit", "Formatting message text" ------------------------------------

def check_slack(message):
    assert set(message) == {"text", "blocks", "mrkdwn"}
    assert 0 < len(message["text"]) <= 4000
    assert 1 <= len(message["blocks"]) <= 50
    limits = {"header": 150, "section": 3000}
    texts = [message["text"]]
    for block in message["blocks"]:
        assert set(block) == {"type", "text"}
        assert block["text"]["type"] == "plain_text"
        assert 0 < len(block["text"]["text"]) <= limits[block["type"]]
        texts.append(block["text"]["text"])
    assert sum(len(t) for t in texts[1:]) <= 11000
    for text in texts:
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", text)


def test_slack(payloads):
    for message in of(payloads, "slack").values():
        check_slack(message)
    assert json.loads(payloads["slack.worst"])["blocks"][-1]["text"]["text"].split("\n")[-1].startswith("… and ")


# ---- teams: adaptivecards.io, "Schema Explorer"; learn.microsoft.com, "Format your bot messages" ------

def check_teams(text):
    message = json.loads(text)
    assert message["type"] == "message"
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["contentUrl"] is None
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"]
    for block in card["body"]:
        assert block["type"] == "RichTextBlock"
        for run in block["inlines"]:
            assert run["type"] == "TextRun"  # "Markdown is not supported"
            assert run["text"]
    assert len(text.encode("utf-16-le")) <= 28 * 1024


def test_teams(payloads):
    for name in of(payloads, "teams"):
        check_teams(payloads[name])


# ---- pagerduty: developer.pagerduty.com, "Events API v2" ----------------------------------------------

def check_pagerduty(event):
    assert len(event["routing_key"]) == 32
    assert 0 < len(event["dedup_key"]) <= 255
    if event["event_action"] == "resolve":
        assert set(event) == {"routing_key", "event_action", "dedup_key"}
        return
    assert event["event_action"] == "trigger"
    payload = event["payload"]
    assert set(payload) == {"summary", "source", "severity", "timestamp", "component", "group", "class",
                            "custom_details"}
    assert 0 < len(payload["summary"]) <= 1024
    assert payload["severity"] in {"critical", "error", "warning", "info"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", payload["timestamp"])


def test_pagerduty(payloads):
    events = of(payloads, "pagerduty")
    for event in events.values():
        check_pagerduty(event)
    begin, end = events["pagerduty.user.suspended"], events["pagerduty.user.reinstated"]
    assert (begin["event_action"], end["event_action"]) == ("trigger", "resolve")
    assert begin["dedup_key"] == end["dedup_key"]
    assert events["pagerduty.sync.recovered"]["dedup_key"] == events["pagerduty.sync.failed"]["dedup_key"]
    assert "pagerduty.user.added" not in events


# ---- alertmanager: the program itself -----------------------------------------------------------------

@pytest.fixture
def alertmanager(tmp_path):
    with Alertmanager(tmp_path) as running:
        yield running


def test_alertmanager_takes_every_payload(payloads, alertmanager):
    assert alertmanager.post("[{}]")[0] in (400, 422)  # it does judge
    for name in of(payloads, "alertmanager"):
        assert alertmanager.post(payloads[name]) == (200, ""), name


def test_an_alert_begins_lasts_and_ends(payloads, alertmanager):
    begin = json.loads(payloads["live.begin"])[0]
    assert alertmanager.post(payloads["live.begin"]) == (200, "")
    (alert,) = wait_until(alertmanager.alerts)
    assert alert["labels"] == begin["labels"]
    assert alert["labels"]["alertname"] == "UserSuspended"
    assert alert["startsAt"] == begin["startsAt"]
    assert alert["annotations"]["summary"] == "acme: ana@example.com is suspended"

    # another address is no other alert
    assert alertmanager.post(payloads["live.repeat"]) == (200, "")
    wait_until(lambda: alertmanager.alerts()[0]["annotations"]["primary_email"] == "byron@example.com")
    assert len(alertmanager.alerts()) == 1
    assert alertmanager.alerts()[0]["startsAt"] == begin["startsAt"]

    assert alertmanager.post(payloads["live.end"]) == (200, "")
    wait_until(lambda: alertmanager.alerts() == [])  # it lists those that last


# ---- doc/webhooks.md -----------------------------------------------------------------------------------

EXAMPLE = re.compile(r"<!-- payload: (\S+) -->\n\n```json\n(.*?)```\n", re.S)


def test_documented_payloads_are_real(payloads):
    """With ROSTERD_UPDATE_DOCS=1 (make update-docs) they are written anew."""
    with open(DOC, encoding="utf-8") as f:
        text = f.read()

    def fresh(match):
        real = json.dumps(json.loads(payloads[match[1]]), indent=2, ensure_ascii=False)
        return f"<!-- payload: {match[1]} -->\n\n```json\n{real}\n```\n"

    if os.environ.get("ROSTERD_UPDATE_DOCS"):
        text = EXAMPLE.sub(fresh, text)
        with open(DOC, "w", encoding="utf-8") as f:
            f.write(text)
    found = EXAMPLE.findall(text)
    assert {name.split(".")[0] for name, _ in found} == set(FORMATS)
    assert text.count("```json") == len(found)  # no example that is only somebody's idea
    for name, example in found:
        assert json.loads(example) == json.loads(payloads[name]), f"{name}: 'make update-docs' writes it anew"


SECTION = re.compile(r"(?m)^    \[webhook (\w+)\]\n(?:    .*\n)+")
SECRETS = {"url": "https://hooks.example.com/T0/B0", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
           "header": "Authorization: Bearer x", "routing_key": "R0123456789ABCDEFGHIJKLMNOPQRSTU"}


def sections(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as f:
        return {m[1]: re.sub(r"(?m)^    ", "", m[0]) for m in SECTION.finditer(f.read())}


def check_config(folder, webhook, lines=1):
    """Has the program judge a configuration with this section, whose credentials are in folder."""
    os.chmod(folder, 0o700)
    for key, file in re.findall(r"(?m)^(\w+)_file = (\S+)", webhook):
        (folder / file).write_text((SECRETS[key] + "\n") * lines)
        (folder / file).chmod(0o600)
    config = folder / "rosterd.conf"
    config.write_text(f"[account acme]\naccount_id = 1\n{webhook}")
    config.chmod(0o600)
    done = subprocess.run([os.environ.get("ROSTERD") or os.path.join(BUILD, "rosterd"), "--config", config,
                           "--check-config"], env=dict(os.environ, CREDENTIALS_DIRECTORY=str(folder)),
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (webhook, done.stdout, done.stderr)


@pytest.mark.parametrize("document", ["doc/webhooks.md", "README.md"])
def test_documented_sections_are_taken(tmp_path, document):
    """Every [webhook] section of the documents, with the credentials that it names."""
    found = sections(document)
    assert len(found) == {"doc/webhooks.md": 7, "README.md": 1}[document]
    for text in found.values():
        check_config(tmp_path, text)


def test_a_secret_is_replaced_as_documented(tmp_path):
    check_config(tmp_path, "[webhook x]\nurl = https://hooks.example.com/\nsecret_file = both\n", lines=2)
