//! What older tools do each minute, or each few, as far as it concerns bytes: again and again, for as long as their line
//! is in the crontab, and under the locks that they take.

use std::fs;
use std::process::{Child, Stdio};

use anyhow::Result;

use super::old::{CRONTAB, Old};
use crate::lab::wait_until;
use crate::netns::settling::House;

/// pm.sh since version 3 of its configuration: what its counters show goes into a state file.
pub(super) const PM_SH_STATE: &str = r#"
(
    flock -n 9 || exit 0
    . /etc/port_monitor/state/20000.txt
    in=$(shown port_monitor cnt_in_20000)
    out=$(shown port_monitor cnt_out_20000)
    [ -n "$in" ] && [ -n "$out" ] || exit 0
    [ "$in" -ge "$s_last_k_in" ] && s_acc_in=$((s_acc_in + in - s_last_k_in)) || s_acc_in=$((s_acc_in + in))
    [ "$out" -ge "$s_last_k_out" ] && s_acc_out=$((s_acc_out + out - s_last_k_out)) || s_acc_out=$((s_acc_out + out))
    printf 's_acc_in=%s\ns_acc_out=%s\ns_last_k_in=%s\ns_last_k_out=%s\n' \
        "$s_acc_in" "$s_acc_out" "$in" "$out" >/run/state.new
    cat /run/state.new >/etc/port_monitor/state/20000.txt
    echo >>/run/ran
) 9>/var/run/pm_cron.lock
"#;

/// pm.sh before: into its configuration.
pub(super) const PM_SH_STATS: &str = r#"
(
    flock -n 9 || exit 0
    config=/etc/port_monitor/config.json
    set -- $(sed -n 's/.*"acc_in":\([0-9]*\),"acc_out":\([0-9]*\),"last_kernel_in":\([0-9]*\),"last_kernel_out":\([0-9]*\)}.*/\1 \2 \3 \4/p' $config)
    in=$(shown port_monitor cnt_in_20000)
    out=$(shown port_monitor cnt_out_20000)
    [ $# = 4 ] && [ -n "$in" ] && [ -n "$out" ] || exit 0
    [ "$in" -ge "$3" ] && acc_in=$(($1 + in - $3)) || acc_in=$(($1 + in))
    [ "$out" -ge "$4" ] && acc_out=$(($2 + out - $4)) || acc_out=$(($2 + out))
    stats="\"acc_in\":$acc_in,\"acc_out\":$acc_out,\"last_kernel_in\":$in,\"last_kernel_out\":$out"
    sed "s/\"stats\":{[^}]*}/\"stats\":{$stats}/" $config >/etc/pm-new.json
    mv /etc/pm-new.json $config
    echo >>/run/ran
) 9>/var/run/pm_cron.lock
"#;

/// A dog's reset: what its counters show goes into its history, and they begin anew.
pub(super) const DOG_RESET: &str = r#"
(
    lock=/etc/port-traffic-dog/reset.lock
    hold $lock || exit 0
    in=$(taken port_traffic_monitor port_20000_in)
    out=$(taken port_traffic_monitor port_20000_out)
    if [ -n "$in" ] && [ -n "$out" ]; then
        echo "$(date +%s)|20000|$((in + out))" >>/etc/port-traffic-dog/reset_history.log
        echo '{"20000":{"input":0,"output":0}}' >/etc/dog-new.json
        mv /etc/dog-new.json /etc/port-traffic-dog/traffic_data.json
        echo >>/run/ran
    fi
    free $lock
)
sleep 0.05
"#;

/// The fork's snapshot: what its counters show goes into its daily totals and its copy.
pub(super) const FORK_SNAPSHOT: &str = r#"
(
    lock=/etc/port-traffic-dog/traffic_stats.lock
    hold $lock || exit 0
    in=$(shown port_traffic_monitor port_20000_in)
    out=$(shown port_traffic_monitor port_20000_out)
    if [ -n "$in" ] && [ -n "$out" ]; then
        day=$(TZ=Asia/Shanghai date +%F)
        echo "{\"daily\":{\"20000\":{\"$day\":{\"input\":$in,\"output\":$out,\"time\":\"x\"}}}}" >/etc/dog-new.json
        mv /etc/dog-new.json /etc/port-traffic-dog/traffic_stats.json
        echo "{\"20000\":{\"input\":$in,\"output\":$out,\"backup_time\":\"x\"}}" >/etc/dog-new.json
        mv /etc/dog-new.json /etc/port-traffic-dog/traffic_data.json
        echo >>/run/ran
    fi
    free $lock
)
"#;

/// traffic-dog: what its counters show goes into its state, and they begin anew.
pub(super) const TRAFFIC_DOG_SAVE: &str = r#"
(
    lock=/tmp/port-traffic-stat.lock
    hold $lock || exit 0
    in=$(taken port_traffic_stat p_20000_in)
    out=$(taken port_traffic_stat p_20000_out)
    if [ -n "$in" ] && [ -n "$out" ]; then
        while read -r ports before_in before_out since; do
            [ "$ports" = 20000 ] && before_in=$((before_in + in)) && before_out=$((before_out + out))
            echo "$ports $before_in $before_out $since"
        done </etc/port-traffic-stat/state >/etc/stat-new
        mv /etc/stat-new /etc/port-traffic-stat/state
        echo >>/run/ran
    fi
    free $lock
)
"#;

/// What all of them are called by. `$1` is the line, `$2` the crontab, `$3` what it does.
const CALLS: &str = r#"
shown() { nft list counter inet "$1" "$2" 2>/dev/null | sed -n 's/.*bytes //p'; }
taken() { nft reset counter inet "$1" "$2" 2>/dev/null | sed -n 's/.*bytes //p'; }
hold() { mkdir "$1" 2>/dev/null && echo "$$ $(date +%s)" >"$1/owner"; }
free() { rm "$1/owner"; rmdir "$1"; }
while [ -e /run/go ]; do
    grep -qxF -- "$1" "$2" || { sleep 0.01; continue; }
    eval "$3"
done
"#;

/// Lets a tool's cron run, again and again, until it is ended.
pub(super) struct Cron<'a> {
    house: &'a House<'a>,
    child: Child,
}

impl<'a> Cron<'a> {
    /// Starts it, and waits until it has run a few times.
    pub(super) fn start(house: &'a House<'a>, old: &Old) -> Result<Self> {
        house.write("/run/go", "")?;
        let path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
        let mut command = house.command(&[path, "sh", "-c", CALLS, "sh", old.cron, CRONTAB]);
        let child = command.arg(old.script).stdin(Stdio::null()).spawn()?;
        let cron = Self { house, child };
        cron.ran(3)?;
        Ok(cron)
    }

    /// Waits until it has run so often.
    fn ran(&self, times: usize) -> Result<()> {
        wait_until("the old cron runs", || {
            let ran = fs::read(self.house.outside("/run/ran")).unwrap_or_default();
            Ok(ran.len() >= times)
        })
        .map(|_| ())
    }
}

impl Drop for Cron<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.house.outside("/run/go"));
        let _ = self.child.wait();
    }
}
