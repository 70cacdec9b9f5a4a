// Validates FHIR R4 JSON with two independent programs: the npm `fhir` package (structure, required codes) and,
// when a folder of profiles is given, the FHIRPath constraints of those profiles with npm `fhirpath`.
//
//   node validate.mjs --modules DIR [--profiles DIR] < resource.json
//
// Prints one JSON line: {"valid": bool, "messages": [{"tool", "severity", "location", "message"}],
// "invariants": how many constraints were evaluated}. Only errors make it invalid.

import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const options = { modules: '.', profiles: undefined };
for (let i = 2; i < process.argv.length; i += 2) {
  if (process.argv[i] === '--modules') options.modules = process.argv[i + 1];
  else if (process.argv[i] === '--profiles') options.profiles = process.argv[i + 1];
  else throw new Error(`unknown option ${process.argv[i]}`);
}
const require = createRequire(join(resolve(options.modules), 'package.json'));
const { Fhir } = require('fhir');
const resource = JSON.parse(readFileSync(0, 'utf8'));

const messages = [];
let invariants = 0;

const structure = new Fhir().validate(resource, { errorOnUnexpected: true });
for (const message of structure.messages ?? []) {
  // It knows no other profile than base R4: that a profile is unknown to it says nothing of the resource.
  messages.push({ tool: 'fhir', severity: message.severity, location: message.location, message: message.message });
}

/** The constraints that a profile adds, each with the path of the element that it is about. */
function constraintsOf(profile) {
  const found = [];
  for (const element of profile.differential?.element ?? []) {
    for (const constraint of element.constraint ?? []) {
      if (constraint.expression) found.push({ path: element.path, ...constraint });
    }
  }
  return found;
}

if (options.profiles) {
  const fhirpath = require('fhirpath');
  const r4 = require('fhirpath/fhir-context/r4');
  const profiles = new Map();
  for (const name of readdirSync(options.profiles)) {
    if (!name.startsWith('StructureDefinition-')) continue;
    const profile = JSON.parse(readFileSync(join(options.profiles, name), 'utf8'));
    profiles.set(profile.url, profile);
  }
  const resources = resource.resourceType === 'Bundle' ? (resource.entry ?? []).map((entry) => entry.resource) : [resource];
  for (const one of resources) {
    for (const canonical of one?.meta?.profile ?? []) {
      // A profile stands on another of the same package: its constraints hold too.
      let profile = profiles.get(canonical.split('|')[0]);
      if (!profile && canonical.startsWith('https://hl7.fr/')) {
        messages.push({ tool: 'fhirpath', severity: 'error', location: one.resourceType, message: `unknown profile ${canonical}` });
      }
      for (; profile; profile = profiles.get((profile.baseDefinition ?? '').split('|')[0])) {
        for (const constraint of constraintsOf(profile)) {
          const contexts = constraint.path === one.resourceType ? [one] : fhirpath.evaluate(one, constraint.path, undefined, r4);
          for (const context of contexts) {
            invariants += 1;
            const result = fhirpath.evaluate(context, constraint.expression, { resource: one }, r4);
            if (result.length === 1 && result[0] === false) {
              messages.push({
                tool: 'fhirpath',
                severity: constraint.severity,
                location: constraint.path,
                message: `${constraint.key}: ${constraint.human}`,
              });
            }
          }
        }
      }
    }
  }
}

const valid = structure.valid !== false && !messages.some((m) => m.severity === 'error');
console.log(JSON.stringify({ valid, messages, invariants }));
