#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# As run.sh, with test_sandbox.py: tries the sandbox of rosterd.service from within.
SYSTEMD_TEST=test_sandbox.py TEST_TIMEOUT="${TEST_TIMEOUT:-900}" exec bash "$(dirname "$0")/run.sh" "$@"
