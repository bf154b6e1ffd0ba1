# services.fleetlog.{poller,reducer,nats}; each file may be imported alone.
{
  imports = [
    ./poller.nix
    ./reducer.nix
    ./nats.nix
  ];
}
