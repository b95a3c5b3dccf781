export default function NotFound() {
  return (
    <main>
      <p className="name">Front end</p>
      <h1>There is no such page.</h1>
      <p className="lead">
        <a href="/">To the beginning</a>
      </p>
    </main>
  )
}
