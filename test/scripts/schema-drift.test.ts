import { defineEntity, p } from '@mikro-orm/core'
import test from 'ava'
import { findSchemaDrift } from '../../scripts/schema-drift.ts'
import { gatewayTables } from '../../src/persistence/tables.ts'

test('the migrations lead to what the entities say', async (t) => {
  t.is(await findSchemaDrift(), undefined)
})

test('an entity without its migration is told of', async (t) => {
  const Forgotten = defineEntity({ name: 'Forgotten', properties: { id: p.uuid().primary() } })
  const drift = await findSchemaDrift([
    { ...gatewayTables, entities: [...gatewayTables.entities, Forgotten] },
  ])
  t.regex(drift ?? '', /create table "munjigi"."forgotten"/)
})
