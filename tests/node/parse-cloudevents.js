// SPDX-License-Identifier: Apache-2.0
// Reads [{type, body}, …] from stdin; prints for each the CloudEvents that the SDK finds in an HTTP
// request of that content type and body, validated, or its complaint.
"use strict";
const { readFileSync } = require("fs");
const { HTTP } = require("cloudevents");

const requests = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(requests.map(({ type, body }) => {
  try {
    const message = { headers: { "content-type": type }, body };
    if (!HTTP.isEvent(message)) return "not a CloudEvent";
    const events = [HTTP.toEvent(message)].flat();
    if (!events.every((event) => event.validate())) return "not valid";
    return events.map((event) => event.toJSON());
  } catch (error) {
    return `${error.constructor.name}: ${error.message}`;
  }
})));
