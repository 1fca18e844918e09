# SPDX-License-Identifier: Apache-2.0
"""Histories made up from seeds, judged by an independent model (tests/model/README.md)."""

import os
import pathlib
import sys

import pytest

MODEL = pathlib.Path(__file__).resolve().parent.parent / "model"
sys.path.insert(0, str(MODEL))

import compare  # noqa: E402
import compare  # noqa: E402
import explore  # noqa: E402
import model  # noqa: E402
import records  # noqa: E402
import shrink  # noqa: E402
import steps  # noqa: E402

LISTS = 16
SEEDS = [101, 102, 103, 104, 105, 106, 107, 108, 109, 110]
OWN = os.environ.get("ROSTERD_MODEL_SEED")
SHRINKING = 120  # seconds


def judge(seed, patience=0.0):
    runs, _, wrong = explore.try_seed(seed, LISTS, patience, SHRINKING)
    assert wrong is None, wrong
    assert runs >= LISTS * explore.ACCOUNTS


@pytest.mark.parametrize("seed", SEEDS + ([int(OWN)] if OWN else []))
def test_a_history(seed):
    judge(seed)


def test_a_history_that_takes_patience():
    judge(7, patience=0.3)


# ---- the tools themselves ------------------------------------------------------------------------

def test_the_same_seed_is_the_same_history():
    assert explore.history(5, 20, 0.1) == explore.history(5, 20, 0.1)
    assert explore.history(5, 20, 0.1) != explore.history(6, 20, 0.1)


def test_histories_have_everything():
    """Every kind of step and of fault, in a few hundred histories."""
    seen, faults = set(), set()
    for seed in range(300):
        for step in explore.history(seed, 20, 0.2):
            seen.add(step["do"] + ("-midway" if "page" in step else ""))
            if step["do"] == "fault":
                faults.add(step["action"])
    assert {"add", "remove", "return", "patch", "shuffle", "reverse", "move", "twin", "raw", "config",
            "list", "mode", "restart", "accept", "age", "day"} <= seen
    assert {f"{change}-midway" for change in ("add", "remove", "return", "patch", "shuffle", "reverse",
                                              "move", "twin")} <= seen
    assert faults == {row[1] for row in steps.FATAL + steps.PASSING + steps.HARMLESS} | {"endless"}


def test_shrinking_finds_the_two_steps_that_matter():
    tried = []

    def fails(part):
        tried.append(part)
        return 13 in part and 71 in part

    assert shrink.shrink(list(range(100)), fails) == [13, 71]
    assert len(tried) < 200


USER = '{"UserId":"u","AccountId":"A","DisplayName":"x"}'


@pytest.mark.parametrize("body, records_, token", [
    (f'{{"Users":[{USER}]}}', 1, None), (f'{{"Users":[{USER},{USER}],"NextToken":"t"}}', 2, "t"),
    ('{"Users":[],"NextToken":null}', 0, None), ('{"Users":[],"NextToken":""}', 0, None),
    ('{"Users":[{"a":"]}\\\\\\"["},42,null]}', 3, None), (' { "x" : [1,{}] , "Users" : [ ] } ', 0, None),
])
def test_the_model_reads_pages(body, records_, token):
    page = records.read_page(body.encode())
    assert (len(page.records), page.token) == (records_, token)


@pytest.mark.parametrize("body", ["", "[]", "null", '{"Users":null}', '{"Users":{}}', '{"NextToken":"t"}',
                                  '{"Users":[{"UserId":"u"}', '{"Users":[1}', '{"Users":[]}x',
                                  '{"Users":[' + "[" * 1000 + "]" * 1000 + "]}"])
def test_the_model_knows_what_is_no_page(body):
    assert records.read_page(body.encode()) is None


@pytest.mark.parametrize("given, stored", [
    ("2021-03-04T05:06:07Z", "2021-03-04T05:06:07.000Z"),
    ("2021-03-04T05:06:07.123999+02:00", "2021-03-04T03:06:07.123Z"),
    (1600000000.25, "2020-09-13T12:26:40.250Z"), (0, "1970-01-01T00:00:00.000Z")])
def test_the_model_reads_times(given, stored):
    person = records.read_record(f'{{"UserId":"u","RegisteredOn":{records.json.dumps(given)}}}', "A")
    assert person.columns["registered_on"] == stored


CONFIG = {"account_id": "A", "user_type": "", "user_email": "", "baseline": "quiet",
          "max_removals": "10%", "missing_listings": 1, "store_personal_pin": False}


def answers(*pages):
    return [model.judge(200, body.encode(), False, n > 0) for n, body in enumerate(pages)]


def test_the_model_knows_a_suspension():
    """By hand, once: so that not the model alone says what the model says."""
    account = model.Account()
    first = account.run(CONFIG, answers('{"Users":[{"UserId":"u"},{"UserId":"v"}]}'))
    assert [e["type"] for e in first.events] == ["sync.baseline"]
    page = '{"Users":[{"UserId":"u","UserRegistrationStatus":"Suspended"}]'
    second = account.run(CONFIG, answers(page + ',"NextToken":"t"}', *["rubbish"] * 6))
    assert (second.outcome, second.removed) == ("failed", 0)
    assert [e["type"] for e in second.events] == ["user.suspended", "sync.failed"]
    assert second.events[0]["changes"] == {"user_registration_status": (None, "Suspended")}
    third = account.run(CONFIG, answers(page + "}"))
    assert [(e["type"], e.get("user_id")) for e in third.events] == [("user.removed", "v"),
                                                                    ("sync.recovered", None)]
    assert list(account.listed) == ["u"] and list(account.former) == ["v"]


def test_the_model_lets_nobody_give_up_early():
    with pytest.raises(model.Impossible):
        model.Account().run(CONFIG, answers(*["rubbish"] * 5))


def test_the_model_leaves_the_next_runs_answers_to_it():
    account = model.Account()
    two = answers('{"Users":[{"UserId":"u"}]}') * 2
    expected = account.run(CONFIG, two)
    assert (expected.outcome, expected.pages, expected.unused) == ("complete", 1, 1)
    with pytest.raises(model.Impossible):
        account.run(CONFIG, answers('{"Users":[]}', '{"Users":[]}'))


RUN = {"run_id": 2, "started_at": "1970-01-01T00:00:10.000Z", "finished_at": "1970-01-01T00:00:20.000Z"}


def answered(*each):
    """(time, page, answer) of each (time, page, whether it is a page)."""
    return [(at, page, model.judge(200, b'{"Users":[]}' if good else b"", False, page > 1))
            for at, page, good in each]


@pytest.mark.parametrize("at, where", [(9, 0), (11, 0), (13, 1)])
def test_a_request_of_the_run_that_failed_is_not_the_next_ones(at, where):
    own = answered((12, 1, True), (14, 2, False), (15, 2, True), (16, 3, True))
    other, late = answered((30, 1, True), (at, 8, True))
    pending = [*own[:where], late, *own[where:], other]
    with pytest.raises(compare.Mismatch):
        compare.of_run(answered((9, 7, True)) + pending, RUN, after_failure=True)
    assert compare.of_run(pending, RUN, after_failure=True) == own
    assert pending == [other]


@pytest.mark.parametrize("pages, withdrawn", [
    ([(7, False), (8, True), (7, True), (8, True)], 1),
    ([(7, False), (8, False), (7, False), (7, True), (8, True)], 1),
    ([(7, False), (7, True), (8, True), (8, True), (9, True)], 2),
    ([(7, True), (8, True), (7, True)], None),    # nothing was wrong with page 7
    ([(7, True), (8, True), (8, True)], None),    # nor with page 8
    ([(7, False), (7, True), (8, False), (8, True)], None),
])
def test_a_page_that_was_asked_for_ahead_and_withdrawn_is_none(pages, withdrawn):
    answers_ = answered(*((15, page, good) for page, good in pages))
    assert compare.without_withdrawn(answers_) == \
        [answer for i, answer in enumerate(answers_) if i != withdrawn]
