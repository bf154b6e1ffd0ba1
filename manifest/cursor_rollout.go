package manifest

// rollout is what readRollout reads.
func (c *cursor) rollout() *Rollout {
	r := &Rollout{}
	missing := 8
	for m := new(members); c.member(m); {
		switch m.name {
		case "channel":
			r.Channel = c.own()
			missing--
		case "channelRef":
			r.ChannelRef = c.own()
			missing--
		case "complianceFrameworks":
			r.ComplianceFrameworks = c.texts()
		case "disruptionBudgets":
			r.DisruptionBudgets = sequence(c, (*cursor).rolloutBudget)
		case "displayName":
			r.DisplayName = c.string()
			missing--
		case "fleetResolvedHash":
			r.FleetResolvedHash = c.string()
			missing--
		case "healthGate":
			r.HealthGate = c.healthGate()
			missing--
		case "hostSet":
			r.HostSet = sequence(c, (*cursor).hostWave)
			missing--
		case "meta":
			r.Meta = c.meta()
			missing--
		case "schemaVersion":
			r.SchemaVersion = c.integer()
			missing--
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return r
}

func (c *cursor) hostWave() (h HostWave) {
	missing := 3
	for m := new(members); c.member(m); {
		switch m.name {
		case "hostname":
			h.Hostname = c.string()
			missing--
		case "targetClosure":
			h.TargetClosure = c.string()
			missing--
		case "waveIndex":
			h.WaveIndex = c.integer()
			missing--
		default:
			c.skip()
		}
	}
	c.demand(missing == 0)
	return h
}
