# A machine with everything on it polls a release that the real producer signed,
# and serves the set.
{ pkgs, module }:

pkgs.testers.runNixOSTest {
  name = "fleetlog";

  nodes.machine =
    { pkgs, ... }:
    let
      release =
        pkgs.runCommand "release" { nativeBuildInputs = [ pkgs.unzip ]; }
          ''
            unzip ${../internal/corpus/corpus.zip} 'releases/medium-composite/*'
            mv releases/medium-composite "$out"
          '';
      window = 100 * 365 * 24 * 3600; # the release is old
    in
    {
      imports = [ module ];
      environment.systemPackages = [ pkgs.curl ];
      services.fleetlog = {
        fleet = "prod";
        trustFile = "${release}/trust.json";
        nats.enable = true;
        poller = {
          enable = true;
          releaseDir = "${release}/releases";
          pollInterval = 2;
          freshnessWindowSecs = window;
        };
        reducer = {
          enable = true;
          freshnessWindowSecs = window;
          http.listen = "127.0.0.1:9478";
        };
      };
    };

  testScript = ''
    machine.wait_for_unit("fleetlog-poller.service")
    machine.wait_for_unit("fleetlog-reducer.service")
    machine.wait_until_succeeds("curl --fail --silent http://127.0.0.1:9478/v1/fleet.resolved", timeout=60)
    machine.succeed("test $(stat -c %a:%U /var/lib/fleetlog/writer.key) = 600:root")
    machine.fail("runuser -u nobody -- cat /var/lib/fleetlog/poller.nkey")
    before = machine.succeed("sha256sum /var/lib/fleetlog/writer.key")
    machine.succeed("systemctl restart fleetlog-nats.service fleetlog-poller.service fleetlog-reducer.service")
    machine.wait_until_succeeds("curl --fail --silent http://127.0.0.1:9478/v1/fleet.resolved", timeout=60)
    assert before == machine.succeed("sha256sum /var/lib/fleetlog/writer.key")
  '';
}
