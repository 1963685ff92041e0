import fc from 'fast-check';

// Before each file of tests: what fast-check generates follows from HOLDFAST_TEST_SEED where that is given.
const given = process.env['HOLDFAST_TEST_SEED'];
if (given !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(given) });
