import DatTesting
import Foundation
import Testing

/// The command as a user without root's rights; the other tests often run as root.
@Suite(.timeLimit(.minutes(2))) struct OtherUserTests {
  @Test(.enabled(if: CommandShell.isRoot, "another user's place can be taken by root alone"))
  func `a user who is not root serves and fetches over TCP`() async throws {
    let result = try await CommandShell.run(
      """
      chmod 711 .; mkdir theirs; chown 65534 theirs; cd theirs
      trap 'kill $first $second' EXIT
      other="setpriv --reuid=65534 --regid=65534 --clear-groups"
      place() {
        for _ in $(seq 600); do grep -q "listening on" $1 && break; sleep 0.1; done
        sed -n "s/^listening on //p" $1
      }
      key=$(od -An -v -tx1 ../log/key | tr -d " \\n")
      dat feed serve ../log --listen 127.0.0.1:0 > ../first & first=$!
      $other dat feed clone copy $key --connect $(place ../first) > /dev/null
      $other dat feed serve copy --listen 127.0.0.1:0 > ../second & second=$!
      dat feed clone ../again $key --connect $(place ../second) > /dev/null
      dat feed cat ../again
      """)
    #expect(result.lines == ["one", "two", "three"], "\(result.errors)")
  }
}
