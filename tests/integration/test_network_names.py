# SPDX-License-Identifier: Apache-2.0
"""Names that do not resolve, that lead elsewhere, or to several places of which some are dead."""

import contextlib

import pytest
from control import ask, result
from emulator import Emulator
from names import NXDOMAIN, SERVFAIL, Names, possible
from proxy import Proxy
from receiver import Receiver
from rosterd import Rosterd, kinds, wait_until

HOST = "service.test"
HOOK = "hook.test"

pytestmark = pytest.mark.skipif(not possible(), reason="needs root for a mount namespace and port 53")


def named(tmp_path, chime, port, **given):
    """A roster whose service is HOST at a port."""
    return Rosterd(tmp_path, chime, {"acme": dict({
        "endpoint": f"http://{HOST}:{port}", "allow_http": "yes", "max_removals": "100%"},
        **given)}, interval="1h")


def assert_same(roster, chime):
    assert set(roster.users()) == {user["UserId"] for user in chime.users()}


# What the name server says, and the reason that the run gives.
CANNOT = "page 1: the name {}.test cannot be resolved (given up after 6 attempts)"
FAILURES = {
    "unknown": (NXDOMAIN, CANNOT),
    "failure": (SERVFAIL, CANNOT),
    "empty": ([], CANNOT),
    "silence": (None, "page 1: no answer in time from {}.test:"),
}


def test_names_that_do_not_resolve(tmp_path):
    with Emulator(users=0) as chime, Names(tmp_path) as names:
        accounts = {}
        for n, name in enumerate(FAILURES):
            names.names[f"{name}.test"] = ["127.0.0.1"]
            accounts[name] = {"account_id": f"{n:08d}-2222-4333-8444-555555555555",
                              "endpoint": f"http://{name}.test:{chime.port}", "allow_http": "yes",
                              "max_removals": "100%", "connect_timeout": "1s"}
            chime.add_account(accounts[name]["account_id"], users=20)
        roster = Rosterd(tmp_path, chime, accounts)

        def once():
            return roster.run("--once", prefix=names.prefix(), timeout=100).returncode
        assert once() == 0
        before, seq = roster.users(), roster.last_seq()
        for account in accounts.values():
            chime.delete_users(count=1, account=account["account_id"])
        for name, (said, _) in FAILURES.items():
            names.names[f"{name}.test"] = said
        names.asked.clear()
        assert once() == 1
        for run in roster.run_rows()[-len(FAILURES):]:
            assert run["outcome"] == "failed"
            assert run["error"].startswith(FAILURES[run["account"]][1].format(run["account"]))
            assert len([n for n, _ in names.asked if n == f"{run['account']}.test"]) >= 6
        assert roster.users() == before
        assert [event["type"] for event in roster.events(seq)] == ["sync.failed"] * len(FAILURES)

        for name in FAILURES:
            names.names[f"{name}.test"] = ["127.0.0.1"]
        seq = roster.last_seq()
        assert once() == 0
        assert sorted(event["type"] for event in roster.events(seq)) == \
            ["sync.recovered"] * len(FAILURES) + ["user.removed"] * len(FAILURES)
        assert len(roster.users()) == 19 * len(FAILURES)


def test_a_name_server_that_hangs_holds_up_nobody(tmp_path, chime):
    """rosterd answers while it waits for the name, and stops at once when told to."""
    roster = named(tmp_path, chime, chime.port, connect_timeout="60s")
    roster.accounts["calm"] = {"account_id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"}
    chime.add_account(roster.accounts["calm"]["account_id"], users=30)
    roster.write_config()
    with Names(tmp_path, **{HOST: None}) as names:
        roster.start(prefix=names.prefix())
        wait_until(lambda: names.asked, message="a question")
        # no answer from the name server: 2 s for each of two families, and then anew
        assert ask(roster, "sync", accounts=["calm"], wait=True)[-1]["result"]["complete"] == 1
        states = {a["account"]: a["state"] for a in result(roster, "status")["accounts"]}
        assert states["acme"] == "running"
        assert roster.stop(timeout=60) == 0


ALIVE = "127.9.0.1"  # resolvers put what is nearer to the machine's own address before it


def has(address):
    try:
        with Proxy(0, host=address):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("dead", ["refused", "silent"])
@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["::1"], ["127.0.0.1", "::1", "127.0.0.3"]],
                         ids=lambda a: " ".join(a))
def test_other_addresses_are_dead(tmp_path, chime, dead, addresses):
    with contextlib.ExitStack() as stack:
        port = 0
        for address in filter(has, addresses):
            proxy = stack.enter_context(Proxy(0, host=address, port=port))
            port = proxy.port
            if dead == "silent":
                proxy.deafen()
            else:
                proxy.refuse()
        alive = stack.enter_context(Proxy(chime.port, host=ALIVE, port=port))
        names = stack.enter_context(Names(tmp_path, **{HOST: [*addresses, ALIVE]}))
        roster = named(tmp_path, chime, alive.port, connect_timeout="6s")
        done = roster.run("--once", prefix=names.prefix(), timeout=100)
        assert done.returncode == 0, done.stderr
        assert_same(roster, chime)
        assert roster.run_rows()[-1]["retries"] == 0


def moving(stack, chime, receiver):
    """The service and a receiver at one address; and at another, on the same ports, once moved."""
    pairs = []
    for target in (chime.port, receiver.port):
        old = stack.enter_context(Proxy(target, host="127.0.0.2"))
        new = stack.enter_context(Proxy(target, host="127.0.0.3", port=old.port))
        new.refuse()
        pairs.append((old, new))
    return pairs


@pytest.mark.parametrize("old_ends", ["refused", "silent"])
def test_a_name_that_moves_while_rosterd_runs(tmp_path, old_ends):
    """The old address dies; the same process finds the new one, and each event arrives once."""
    with contextlib.ExitStack() as stack:
        chime = stack.enter_context(Emulator(users=40))
        receiver = stack.enter_context(Receiver())
        service, hook = moving(stack, chime, receiver)
        names = stack.enter_context(Names(tmp_path, **{HOST: ["127.0.0.2"], HOOK: ["127.0.0.2"]}))
        roster = named(tmp_path, chime, service[0].port, connect_timeout="2s", request_timeout="2s")
        roster.webhooks["ops"] = {"url": f"http://{HOOK}:{hook[0].port}/x", "allow_http": "yes",
                                  "timeout": "2s"}
        roster.write_config()
        roster.start(prefix=names.prefix())
        stack.callback(roster.stop)
        wait_until(roster.complete_runs, message="the first listing")
        receiver.wait(1)

        user = chime.users(limit=1)[0]["UserId"]
        chime.patch_user(user, DisplayName="Moved")
        names.names.update({HOST: ["127.0.0.3"], HOOK: ["127.0.0.3"]})
        for old, new in (service, hook):
            new.accept()
            if old_ends == "refused":
                old.refuse()
                old.cut()
            else:
                old.set(silent_after=0)
                old.silence_all()
        answers = ask(roster, "sync", wait=True)
        assert answers[-1]["result"]["complete"] == 1, answers
        told = receiver.wait(2)
        assert [r.events()[0]["type"] for r in told] == ["sync.baseline", "user.updated"]
        assert_same(roster, chime)


def test_a_name_that_moves_between_pages(tmp_path):
    """The connection that has brought the first page is reset, and nobody is at its address any more."""
    with contextlib.ExitStack() as stack:
        chime = stack.enter_context(Emulator(users=450))
        receiver = stack.enter_context(Receiver())
        service, _ = moving(stack, chime, receiver)
        names = stack.enter_context(Names(tmp_path, **{HOST: ["127.0.0.2"]}))
        roster = named(tmp_path, chime, service[0].port)

        def move():
            """The first connection has come about; there will be no other to that address."""
            names.names[HOST] = ["127.0.0.3"]
            service[0].server.close()

        service[0].set(end_kept="reset")
        service[0].on_link = move
        service[1].accept()
        done = roster.run("--once", prefix=names.prefix())
        assert done.returncode == 0, done.stderr
        assert_same(roster, chime)
        assert service[0].heard > 0
