// The public tests of HTTP caches, against the gateway at the given address: a line of JSON for each of them.
import fetch from 'node-fetch'
import { runTests, getResults } from 'http-cache-tests/client/runner.mjs'
import suites from 'http-cache-tests/tests/index.mjs'
import surrogate from 'http-cache-tests/tests/surrogate-control.mjs'

// What an outcome is called, as lib/display.mjs has it, which needs a browser.
function outcome (tests, results, id) {
  const test = tests.get(id)
  const result = results[id]
  if (result === undefined) return 'untested'
  const good = ['pass', 'yes']
  if ((test.depends_on ?? []).some(other => !good.includes(outcome(tests, results, other)))) return 'dependency'
  if (result !== true && result[0] === 'Setup') return result[1] === 'retry' ? 'retry' : 'setup'
  const words = { required: ['pass', 'fail'], optimal: ['pass', 'optional'], check: ['yes', 'no'] }
  return words[test.kind ?? 'required'][result === true ? 0 : 1]
}

suites.push(surrogate)
// All at once: they wait most of the time.
await runTests(suites, fetch, false, process.argv[2], 1000)
const results = getResults()
const tests = new Map(suites.flatMap(suite => suite.tests.map(test => [test.id, test])))
for (const suite of suites) {
  for (const test of suite.tests.filter(test => test.browser_only !== true)) {
    const result = results[test.id]
    const reason = Array.isArray(result) ? result[1] : null
    const line = { suite: suite.name, id: test.id, kind: test.kind ?? 'required', outcome: outcome(tests, results, test.id), reason }
    console.log(JSON.stringify(line))
  }
}
