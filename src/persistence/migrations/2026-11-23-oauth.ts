import { Migration } from '@mikro-orm/migrations'

/** The vault, who logs in with what, and logins that are under way: see oauth/entities.ts. */
export class OAuth20261123 extends Migration {
  override up(): void {
    this.addSql(`create table munjigi.connections (
      id uuid not null primary key,
      subject varchar(255) not null,
      provider varchar(64) not null,
      provider_user_id varchar(255) not null,
      profile jsonb not null,
      scope text not null,
      token_type varchar(32) not null,
      sealed_access_token text not null,
      sealed_refresh_token text null,
      expires_at timestamptz null,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      last_refreshed_at timestamptz null,
      state varchar(16) not null,
      generation int not null default 0,
      failures int not null default 0,
      retry_at timestamptz null,
      keep_alive_at timestamptz null,
      constraint connections_one_of_an_account unique (subject, provider, provider_user_id))`)
    this.addSql('create index connections_keep_alive_at_index on munjigi.connections (keep_alive_at)')
    this.addSql(`create table munjigi.refresh_questions (
      connection_id uuid not null primary key,
      asker uuid not null,
      question uuid not null)`)
    this.addSql(`create table munjigi.identities (
      provider varchar(64) not null,
      provider_user_id varchar(255) not null,
      subject varchar(255) not null,
      verified_email varchar(320) null,
      created_at timestamptz not null,
      last_login_at timestamptz not null,
      primary key (provider, provider_user_id))`)
    this.addSql('create index identities_subject_index on munjigi.identities (subject)')
    this.addSql('create index identities_verified_email_index on munjigi.identities (verified_email)')
    this.addSql(`create table munjigi.login_attempts (
      state_hash varchar(43) not null primary key,
      browser_hash varchar(43) not null,
      provider varchar(64) not null,
      sealed_secrets text not null,
      return_to text not null,
      return_state varchar(512) null,
      code_challenge varchar(43) null,
      expires_at timestamptz not null)`)
    this.addSql('create index login_attempts_expires_at_index on munjigi.login_attempts (expires_at)')
    this.addSql(`create table munjigi.login_codes (
      hash varchar(43) not null primary key,
      provider varchar(64) not null,
      sealed_grant text not null,
      browser_hash varchar(43) not null,
      code_challenge varchar(43) null,
      expires_at timestamptz not null)`)
    this.addSql('create index login_codes_expires_at_index on munjigi.login_codes (expires_at)')
    this.addSql(`create table munjigi.provider_revocations (
      id uuid not null primary key,
      provider varchar(64) not null,
      provider_user_id varchar(255) not null,
      sealed_tokens text not null,
      created_at timestamptz not null,
      attempts int not null default 0,
      next_attempt_at timestamptz not null)`)
    this.addSql(
      'create index provider_revocations_next_attempt_at_index on munjigi.provider_revocations (next_attempt_at)',
    )
  }

  override down(): void {
    const tables = ['provider_revocations', 'login_codes', 'login_attempts', 'identities']
    for (const table of [...tables, 'refresh_questions', 'connections'])
      this.addSql(`drop table munjigi.${table}`)
  }
}
