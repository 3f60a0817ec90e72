// Makes the tables in db.sqlite.
const cds = require('@sap/cds')

async function deploy () {
  cds.root = process.cwd()
  await cds.plugins
  await cds.deploy(await cds.load('*')).to('db')
}

deploy().then(() => process.exit(0), error => { console.error(error); process.exit(1) })
