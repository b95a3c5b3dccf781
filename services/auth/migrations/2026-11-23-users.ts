import { Migration } from '@mikro-orm/migrations'

/** Users and rate limits: see entities.ts. */
export class Users20261123 extends Migration {
  override up(): void {
    this.addSql(`create table auth.users (
      id uuid not null primary key,
      email varchar(254) not null constraint users_email_unique unique,
      name varchar(100) null,
      password_hash varchar(255) not null,
      created_at timestamptz not null)`)
    this.addSql(`create table auth.rate_limits (
      key varchar(255) not null primary key,
      points int not null default 0,
      expire bigint null)`)
  }

  override down(): void {
    for (const table of ['rate_limits', 'users']) this.addSql(`drop table auth.${table}`)
  }
}
