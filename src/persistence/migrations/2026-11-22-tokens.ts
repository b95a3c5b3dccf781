import { Migration } from '@mikro-orm/migrations'

/** Signing keys, sessions and their refresh tokens, denials, rate limits: see tokens/entities.ts. */
export class Tokens20261122 extends Migration {
  override up(): void {
    this.addSql(`create table munjigi.signing_keys (
      kid varchar(255) not null primary key,
      algorithm varchar(255) not null,
      public_jwk jsonb not null,
      sealed_private_key text not null,
      created_at timestamptz not null,
      activated_at timestamptz null,
      retired_at timestamptz null)`)
    this.addSql(`create unique index signing_keys_one_active on munjigi.signing_keys (algorithm)
      where activated_at is not null and retired_at is null`)
    this.addSql(`create unique index signing_keys_one_next on munjigi.signing_keys (algorithm)
      where activated_at is null and retired_at is null`)
    this.addSql(`create table munjigi.sessions (
      id uuid not null primary key,
      subject varchar(255) not null,
      client_id varchar(128) not null,
      scope text not null,
      audience jsonb not null,
      claims jsonb not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      revoked_at timestamptz null)`)
    this.addSql('create index sessions_subject_index on munjigi.sessions (subject)')
    this.addSql('create index sessions_expires_at_index on munjigi.sessions (expires_at)')
    this.addSql(`create table munjigi.refresh_tokens (
      hash varchar(43) not null primary key,
      session_id uuid not null constraint refresh_tokens_session_id_foreign
        references munjigi.sessions (id) on delete cascade,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      used_at timestamptz null)`)
    this.addSql('create index refresh_tokens_session_id_index on munjigi.refresh_tokens (session_id)')
    this.addSql('create index refresh_tokens_expires_at_index on munjigi.refresh_tokens (expires_at)')
    this.addSql(`create table munjigi.denials (
      key varchar(128) not null primary key,
      expires_at timestamptz not null,
      transaction_id xid8 not null default pg_current_xact_id())`)
    this.addSql('create index denials_expires_at_index on munjigi.denials (expires_at)')
    this.addSql('create index denials_transaction_id_index on munjigi.denials (transaction_id)')
    this.addSql(`create table munjigi.rate_limits (
      key varchar(255) not null primary key,
      points int not null default 0,
      expire bigint null)`)
  }

  override down(): void {
    for (const table of ['rate_limits', 'denials', 'refresh_tokens', 'sessions', 'signing_keys']) {
      this.addSql(`drop table munjigi.${table}`)
    }
  }
}
