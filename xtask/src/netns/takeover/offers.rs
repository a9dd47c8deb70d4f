//! What an operator is offered, asked and told: by `pm setup` and the menu where an older tool is, and before anything
//! is taken over.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::old::{CRONTAB, PORTS, used};
use super::setups::{DOG, PM_SH, TRAFFIC_DOG};
use crate::lab::{Family, Lab, check_refusal};
use crate::netns::settling::{House, Kind, PM};
use crate::netns::tests;
use crate::terminal::{INTERRUPT, Terminal};
use crate::traffic::{Udp, Way};

tests!["takeover offers":
    setup_offers_what_it_finds_in_both_languages,
    the_first_menu_offers_what_it_finds_in_both_languages,
    the_shortcut_of_a_dog_is_offered_made_and_taken_back,
    who_is_over_his_quota_is_cut_off_or_forgiven_as_is_said,
    what_only_looks_like_the_tools_is_named_and_stays,
    ports_that_two_tools_have_are_refused_before_anything_is_touched,
];

const DOG_LINK: &str = "/usr/local/bin/dog";

/// What is to be read, in one language.
struct Words {
    language: &'static str,
    is_here: &'static str,
    look: &'static str,
    go_on: &'static str,
    taken_over: &'static str,
    unchanged: &'static str,
    waits: &'static str,
    menu: &'static str,
    first_question: &'static str,
    shortcut: &'static str,
    over: &'static str,
    /// What only makes sense where pm is not set up.
    run_setup: &'static str,
}

const WORDS: [Words; 2] = [
    Words {
        language: "en",
        is_here: "pm.sh is on this host",
        look: "Look at what would be taken over?",
        go_on: "Go on?",
        taken_over: "Taken over from pm.sh: 1 service.",
        unchanged: "Nothing was changed.",
        waits: "pm does nothing yet",
        menu: "What next?",
        first_question: "Which ports?",
        shortcut: "Shall the command `dog`",
        over: "Some are over their quota",
        run_setup: "run `pm setup`",
    },
    Words {
        language: "zh",
        is_here: "这台主机上有 pm.sh",
        look: "要看看会接管什么吗？",
        go_on: "继续吗？",
        taken_over: "已从 pm.sh 接管：1 个服务。",
        unchanged: "没有做任何改动。",
        waits: "pm 还不会做任何事",
        menu: "请选择",
        first_question: "要监控哪些端口",
        shortcut: "要让 `dog` 命令",
        over: "有服务已超配额",
        run_setup: "请运行 `pm setup`",
    },
];

/// What a takeover would change.
fn state(lab: &Lab, house: &House<'_>) -> Result<(String, Vec<u8>)> {
    let ruleset = lab.vps.nft(&["list", "ruleset"])?;
    Ok((ruleset, fs::read(house.outside(CRONTAB))?))
}

fn open(house: &House<'_>, words: &Words, rest: &[&str]) -> Result<Terminal> {
    house.terminal(&[&[PM, "--lang", words.language], rest].concat())
}

fn setup_offers_what_it_finds_in_both_languages(lab: &mut Lab) -> Result<()> {
    for words in &WORDS {
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        lab.vps.nft(&["flush", "ruleset"])?;
        lab.watch_cut(&PORTS)?;
        PM_SH.install(lab, &house)?;
        let before = state(lab, &house)?;
        // No to looking, and no to what was seen.
        for answers in [&["n\r"][..], &["\r", "\r"]] {
            let mut setup = open(&house, words, &["setup"])?;
            setup.see(words.is_here)?;
            for (question, answer) in [words.look, words.go_on].into_iter().zip(answers) {
                setup.answer(question, answer)?;
            }
            if answers.len() > 1 {
                setup.see(words.unchanged)?;
            }
            // pm is there, and can do nothing yet: its configuration's place is taken.
            setup.see(words.waits)?;
            ensure!(setup.ends()? == 3, "{}", setup.text());
            ensure!(state(lab, &house)? == before, "{}", setup.text());
        }
        // Somebody in a pipe is told, and not asked.
        let said = house.run(&[PM, "--lang", words.language, "setup"])?;
        ensure!(said.stderr.contains("pm import --from pm.sh"), "{said:?}");
        ensure!(said.code == Some(3), "{said:?}");
        let doctor = house.run(&[PM, "doctor"])?.stdout;
        ensure!(
            doctor.matches("pm import --from pm.sh").count() == 2,
            "{doctor}"
        );
        let foreseen = house.run(&[PM, "setup", "--dry-run"])?.stderr;
        ensure!(foreseen.contains("pm import --from pm.sh"), "{foreseen}");
        ensure!(state(lab, &house)? == before, "{said:?}");

        let mut setup = open(&house, words, &["setup"])?;
        setup.answer(words.look, "\r")?;
        setup.see("20000")?;
        setup.see(PM_SH.cron)?;
        setup.answer(words.go_on, "y\r")?;
        setup.see(words.taken_over)?;
        ensure!(setup.ends()? == 0, "{}", setup.text());
        ensure!(!setup.text().contains(words.run_setup), "{}", setup.text());
        Udp::open(lab, Family::V4, 20000)?.send(Way::In, 5, 500)?;
        PM_SH.exact(lab, &house)?;
        PM_SH.is_gone(lab, &house)?;
        // It is offered once.
        let mut setup = open(&house, words, &["setup"])?;
        ensure!(setup.ends()? == 0, "{}", setup.text());
        ensure!(!setup.text().contains(words.is_here), "{}", setup.text());
    }
    // Where nothing can call pm, setup says so, and what it takes over does not repeat it.
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.vps.nft(&["flush", "ruleset"])?;
    PM_SH.install(lab, &house)?;
    let said = house.run(&PM_SH.import())?.stderr;
    ensure!(said.contains(WORDS[0].run_setup), "{said}");
    Ok(())
}

fn the_first_menu_offers_what_it_finds_in_both_languages(lab: &mut Lab) -> Result<()> {
    for words in &WORDS {
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        lab.vps.nft(&["flush", "ruleset"])?;
        lab.watch_cut(&PORTS)?;
        PM_SH.install(lab, &house)?;
        let mut wizard = open(&house, words, &[])?;
        wizard.see(words.is_here)?;
        wizard.answer(words.look, "\r")?;
        wizard.answer(words.go_on, "y\r")?;
        wizard.see(words.taken_over)?;
        wizard.see("20000")?;
        wizard.answer(words.menu, "0\r")?;
        ensure!(wizard.ends()? == 0, "{}", wizard.text());
        Udp::open(lab, Family::V4, 20000)?.send(Way::Out, 5, 500)?;
        PM_SH.exact(lab, &house)?;
        PM_SH.is_gone(lab, &house)?;

        // Who says no to a dog goes on to his first service, and the dog stays.
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        lab.vps.nft(&["flush", "ruleset"])?;
        DOG.install(lab, &house)?;
        let before = state(lab, &house)?;
        let mut wizard = open(&house, words, &[])?;
        wizard.answer(words.look, "n\r")?;
        wizard.answer(words.first_question, INTERRUPT)?;
        wizard.keys(INTERRUPT)?;
        wizard.keys(INTERRUPT)?;
        ensure!(wizard.ends()? == 0, "{}", wizard.text());
        ensure!(state(lab, &house)? == before, "{}", wizard.text());
    }
    Ok(())
}

fn the_shortcut_of_a_dog_is_offered_made_and_taken_back(lab: &mut Lab) -> Result<()> {
    for words in &WORDS {
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        lab.vps.nft(&["flush", "ruleset"])?;
        let link = house.outside(DOG_LINK);
        let import = |answer: &str| -> Result<()> {
            lab.vps.nft(&["flush", "ruleset"])?;
            DOG.install(lab, &house)?;
            let mut import = open(&house, words, &["import", "--from", DOG.name])?;
            import.answer(words.go_on, "y\r")?;
            import.answer(words.shortcut, answer)?;
            ensure!(import.ends()? == 0, "{}", import.text());
            Ok(())
        };
        let undo = || house.ok(&[PM, "import", "--undo", "--yes"]);
        import("\r")?;
        ensure!(link.symlink_metadata().is_err(), "it was made unasked");
        undo()?;
        import("y\r")?;
        ensure!(fs::read_link(&link)?.as_os_str() == PM, "another link");
        let list = house.ok(&[DOG_LINK, "list"])?;
        ensure!(list.contains("20000"), "{list}");
        undo()?;
        ensure!(link.symlink_metadata().is_err(), "it has stayed");
        // What is somebody else's is not asked about, and stays, there and back.
        house.write(DOG_LINK, "of the DNS tool")?;
        DOG.install(lab, &house)?;
        let mut import = open(&house, words, &["import", "--from", DOG.name])?;
        import.answer(words.go_on, "y\r")?;
        ensure!(import.ends()? == 0, "{}", import.text());
        ensure!(!import.text().contains(words.shortcut), "{}", import.text());
        undo()?;
        ensure!(house.read(DOG_LINK)? == "of the DNS tool", "it is another");
    }
    Ok(())
}

/// pm.sh 5.4.0 never blocked a port that was in no group.
fn who_is_over_his_quota_is_cut_off_or_forgiven_as_is_said(lab: &mut Lab) -> Result<()> {
    // Used: over 1 GiB of 1.
    let overused = |house: &House<'_>| -> Result<()> {
        lab.vps.nft(&["flush", "ruleset"])?;
        PM_SH.install(lab, house)?;
        let path = "/etc/port_monitor/config.json";
        let config = house.read(path)?;
        house.write(path, &config.replace("\"quota_gb\":100", "\"quota_gb\":1"))?;
        house.write(
            "/etc/port_monitor/state/20000.txt",
            "s_acc_in=1073741824\ns_acc_out=7000000\ns_last_k_in=0\ns_last_k_out=0\n",
        )
    };
    let is_as_said = |house: &House<'_>, blocked: bool| -> Result<()> {
        let bytes = used(house, "20000")?;
        ensure!(bytes.inbound == 1_073_742_324, "{bytes:?}");
        let list: Value = serde_json::from_str(&house.ok(&[PM, "list", "--json"])?)?;
        let service = &list["services"][0];
        let expected = if blocked { "quota" } else { "" };
        let found = service["blocked_by"].as_str().unwrap_or_default();
        ensure!(found == expected, "{service}");
        let billed = service["billed_bytes"].as_u64().context("no bill")?;
        ensure!((billed > 0) == blocked, "{service}");
        let udp = Udp::open(lab, Family::V4, 20000)?;
        match blocked {
            true => udp.push(Way::In, 20, 500)?,
            false => udp.send(Way::In, 20, 500)?,
        }
        let after = used(house, "20000")?.inbound - bytes.inbound;
        ensure!((after > 0) != blocked, "{after} bytes passed");
        Ok(())
    };
    for (flag, blocked) in [("block", true), ("forgive", false)] {
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        overused(&house)?;
        let before = state(lab, &house)?;
        check_refusal(&house.run(&PM_SH.import())?, &["--overuse block|forgive"])?;
        ensure!(state(lab, &house)? == before, "{flag}: something changed");
        house.ok(&[&PM_SH.import()[..], &["--overuse", flag]].concat())?;
        is_as_said(&house, blocked).context(flag)?;
    }
    for words in &WORDS {
        for (answer, blocked) in [("\r", true), ("n\r", false)] {
            let house = House::build(lab, Kind::CronAndSysvinit)?;
            overused(&house)?;
            let mut import = open(&house, words, &["import", "--from", "pm.sh"])?;
            import.answer(words.over, answer)?;
            import.answer(words.go_on, "y\r")?;
            import.see(words.taken_over)?;
            ensure!(import.ends()? == 0, "{}", import.text());
            is_as_said(&house, blocked).context(words.language)?;
        }
    }
    Ok(())
}

fn what_only_looks_like_the_tools_is_named_and_stays(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    PM_SH.install(lab, &house)?;
    let line = "*/2 * * * * root flock -n /run/x /opt/pm/pm.sh --monitor";
    let (crontab, unit) = ("/etc/cron.d/by-hand", "/etc/systemd/system/pm.timer");
    house.write(crontab, &format!("{line}\n"))?;
    house.write(unit, "[Timer]\nOnCalendar=minutely\n")?;
    let said = house.ok(&[PM, "import", "--from", "pm.sh", "--dry-run"])?;
    let (goes, stays) = said.split_once("and stays;").context("nothing stays")?;
    for named in [line, crontab, unit, "systemctl disable --now"] {
        ensure!(stays.contains(named) && !goes.contains(named), "{said}");
    }
    ensure!(
        goes.contains(PM_SH.cron) && !stays.contains(PM_SH.cron),
        "{said}"
    );
    house.ok(&PM_SH.import())?;
    ensure!(house.read(crontab)? == format!("{line}\n"), "it is another");
    ensure!(house.outside(unit).exists(), "{unit} is gone");
    PM_SH.is_gone(lab, &house)
}

fn ports_that_two_tools_have_are_refused_before_anything_is_touched(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    DOG.install(lab, &house)?;
    house.ok(&DOG.import())?;
    TRAFFIC_DOG.install(lab, &house)?;
    let directory = "/etc/port-traffic-stat";
    house.write(&format!("{directory}/ports"), "20000\n30050\n21000\n")?;
    let before = state(lab, &house)?;
    let had = "pm has 20000, 30000-30100 already, and traffic-dog has 20000, 30050, too";
    for args in [
        &TRAFFIC_DOG.import()[..],
        &[PM, "import", "--from", "traffic-dog", "--dry-run"],
    ] {
        check_refusal(&house.run(args)?, &[had, "pm del 20000,30000-30100"])?;
        ensure!(state(lab, &house)? == before, "something was touched");
    }
    let journal = house.outside("/var/lib/port_monitor/takeover/traffic-dog");
    ensure!(!journal.exists(), "something was noted");
    // Without them it can be taken over.
    house.write(&format!("{directory}/ports"), "21000\n")?;
    house.ok(&TRAFFIC_DOG.import())?;
    let list = house.ok(&[PM, "list"])?;
    ensure!(list.contains("21000") && list.contains("20000"), "{list}");
    Ok(())
}
