# SPDX-License-Identifier: Apache-2.0
"""The service's side of a history: steps become control calls of the emulator, and its log becomes
the answers that the model judges."""

import base64
from urllib.parse import quote

import model

# What never reaches the client, or not whole.
LOST = {"reset", "reset_mid_body", "cut_body", "stall", "gzip_bomb", "enormous_body"}


def merged(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merged(target.get(name), value)
    return target


def has_id(user):
    return isinstance(user, dict) and isinstance(user.get("UserId"), str) and "\0" not in user["UserId"]


class Service:
    """All accounts of one emulator.  Every step that changes users names an account id."""

    def __init__(self, chime):
        self.chime = chime
        chime.config(log_bodies=True)
        self.gone = {}      # by account id: users who were removed and may return
        self.armed = []     # faults and changes of the next listing, the faults first
        self.faults = {}    # by id: as it was given
        self.number = 0     # of the last log entry that was read

    # -- steps -----------------------------------------------------------------------------------

    def change(self, account_id, step):
        """Does it now, or before a page of the next listing."""
        later = "page" in step
        calls = getattr(self, "_" + step["do"])(account_id, step, later)
        base = "accounts/" + quote(account_id, safe="") + "/"
        calls = [{"method": "POST", "path": base + path, "body": body} for path, body in calls]
        if later:
            self.armed.append({"action": "change", "calls": calls,
                               "match": {"account": account_id, "page": step["page"]}})
            return
        for call in calls:
            self.chime.control(call["method"], call["path"], call["body"])

    def _users(self, account_id, step, count=1):
        """`count` users from the step's place on, and that place."""
        total = self.chime.count(account_id)
        at = step["at"] % total if total else 0
        return self.chime.users(at, count, account=account_id), at

    def _add(self, account_id, step, later):
        return [("users", {"generate": step["count"], "position": step["at"]})]

    def _remove(self, account_id, step, later):
        users, at = self._users(account_id, step, step["count"])
        users = [user for user in users if has_id(user)]
        self.gone.setdefault(account_id, []).extend(users)
        if later:
            return [("delete", {"user_ids": [user["UserId"] for user in users]})]
        return [("delete", {"count": step["count"], "from": at})]

    def _return(self, account_id, step, later):
        gone = self.gone.setdefault(account_id, [])
        back, gone[:] = gone[:step["count"]], gone[step["count"]:]
        if not back:
            return []
        return [("users", {"users": [merged(user, step["patch"]) for user in back],
                           "position": step["at"]})]

    def _patch(self, account_id, step, later):
        users, at = self._users(account_id, step, step["count"])
        if later:
            ids = [user["UserId"] for user in users if has_id(user)]
            return [("patch", {"patch": step["patch"], "user_ids": ids})]
        return [("patch", {"patch": step["patch"], "count": step["count"], "from": at})]

    def _move(self, account_id, step, later):
        users, _ = self._users(account_id, step)
        if not users or not has_id(users[0]):
            return []
        return [("reorder", {"user_id": users[0]["UserId"], "position": step["to"]})]

    def _twin(self, account_id, step, later):
        users, _ = self._users(account_id, step)
        if not users or not has_id(users[0]):
            return []
        return [("users", {"user": merged(users[0], step["patch"]), "position": step["to"]})]

    def _raw(self, account_id, step, later):
        return [("raw", {"text": step["text"], "position": step["at"]})]

    def _shuffle(self, account_id, step, later):
        return [("reorder", {"shuffle": step["seed"]})]

    def _reverse(self, account_id, step, later):
        return [("reorder", {"reverse": True})]

    def fault(self, account_id, step):
        details = {name: value for name, value in step.items()
                   if name not in ("do", "account", "page", "first")}
        at = next((i for i, spec in enumerate(self.armed) if spec["action"] == "change"),
                  len(self.armed))
        self.armed.insert(0 if step.get("first") else at,
                          dict(details, match={"account": account_id, "page": step["page"]}))

    # -- a listing -------------------------------------------------------------------------------

    def arm(self):
        """What was prepared takes effect."""
        if self.armed:
            ids = self.chime.control("POST", "faults", self.armed)["ids"]
            self.faults.update(zip(ids, self.armed))
            self.armed = []

    def disarm(self, account_ids):
        """The listing is over; records that name nobody go, or no listing would ever be complete."""
        self.chime.clear_faults()
        for account_id in account_ids:
            users = self.chime.users(account=account_id)
            for at in reversed(range(len(users))):
                if not has_id(users[at]):
                    self.chime.control("POST", f"accounts/{quote(account_id, safe='')}/delete",
                                       {"count": 1, "from": at})

    def stalls(self):
        """Whether a request waits for an answer that never comes."""
        stalls = {number for number, spec in self.faults.items() if spec["action"] == "stall"}
        return any(entry["fault"] in stalls for entry in self.chime.log(self.number))

    def answers(self):
        """(time, account id, page, Answer, in words) of each request since the last call."""
        entries = self.chime.log(self.number)
        if entries:
            self.number = entries[-1]["number"]
        return [(entry["time"], entry["account"], entry["page"], self.judged(entry), self.in_words(entry))
                for entry in entries]

    def judged(self, entry):
        spec = self.faults.get(entry["fault"], {})
        if not entry["signature_ok"] or entry["status"] == 404 and not spec:
            raise AssertionError(f"the test itself is wrong: {entry}")
        return model.judge(entry["status"], base64.b64decode(entry.get("body", "")),
                           spec.get("action") in LOST, "next-token" in entry["params"],
                           spec.get("retry_after") or spec.get("retry_after_date") or 0,
                           spec.get("action") == "reset")

    def in_words(self, entry):
        spec = self.faults.get(entry["fault"], {})
        return f"page {entry['page']}: {entry['status']} {spec.get('action', '')} {entry['bytes']} bytes"
