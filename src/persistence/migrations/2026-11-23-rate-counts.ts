import { Migration } from '@mikro-orm/migrations'

/**
 * What replicas have let through on routes with a rate limit: see persistence/rate-counts.ts. Unlogged: it is worth
 * nothing after a crash, and is written often.
 */
export class RateCounts20261123 extends Migration {
  override up(): void {
    this.addSql(`create unlogged table munjigi.rate_counts (
      key varchar(43) not null,
      replica varchar(12) not null,
      runs text not null,
      expires_at bigint not null,
      primary key (key, replica))`)
  }

  override down(): void {
    this.addSql('drop table munjigi.rate_counts')
  }
}
