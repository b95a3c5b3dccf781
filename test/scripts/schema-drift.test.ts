import { defineEntity, p } from '@mikro-orm/core'
import test from 'ava'
import { findSchemaDrift } from '../../scripts/schema-drift.ts'
import { migrations } from '../../src/persistence/migrations/index.ts'
import { tokenEntities } from '../../src/tokens/entities.ts'

test('the migrations lead to what the entities say', async (t) => {
  t.is(await findSchemaDrift(), undefined)
})

test('an entity without its migration is told of', async (t) => {
  const Forgotten = defineEntity({ name: 'Forgotten', properties: { id: p.uuid().primary() } })
  const drift = await findSchemaDrift([
    { schema: 'munjigi', entities: [...tokenEntities, Forgotten], migrations },
  ])
  t.regex(drift ?? '', /create table "munjigi"."forgotten"/)
})
