// SPDX-License-Identifier: Apache-2.0
// Reads [{secret, headers, body}, …] from stdin; prints for each what the Standard Webhooks library says
// of it: null if it is good, else its complaint.
"use strict";
const { readFileSync } = require("fs");
const { Webhook } = require("standardwebhooks");

const requests = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(requests.map(({ secret, headers, body }) => {
  try {
    const event = new Webhook(secret).verify(body, headers);
    return JSON.stringify(event) === JSON.stringify(JSON.parse(body)) ? null : "another body came out";
  } catch (error) {
    return `${error.constructor.name}: ${error.message}`;
  }
})));
