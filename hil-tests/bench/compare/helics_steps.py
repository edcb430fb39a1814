"""How late HELICS grants the steps of one value federate in its real-time mode (`HELICS_FLAG_REALTIME`).

HELICS reads the steady clock, which is CLOCK_MONOTONIC on Linux, as the federate enters the executing mode.
From there the grid is absolute: time t is due t after that reading. HELICS does not give the reading out;
lateness is counted from the return of the call, some microseconds after it, which is to the favour of HELICS.
The steps counted are those at 1 to N periods.
"""

import helics as h
from block import NS_PER_MS, arguments, now_ns, write

# A grant is held back until this lead before its time, by a sleep that is relative to a reading of the clock;
# what would be a sleep of 5 ms or less is not done at all, so that the step is early. A sleep ends up to 50
# us late by the timer slack that Linux gives to every thread; the lead takes that off. It is the better
# setting for HELICS: without a lead, its default, steps are about 40 us later; with it a few steps may be
# early; with 100 us many are, at 10 ms.
LEAD_S = 0.000_05
# A grant that is later than this is forced, without waiting for other federates. Here are none to wait for;
# with no lag, the default, a step that is asked for too late would be forced as well.
LAG_S = 1.0
QUIET = "--loglevel=no_print"


def main():
    given = arguments("Measures HELICS.")
    # Broker, core and federate in one process, which spares every step a message over a socket.
    broker = h.helicsCreateBroker("inproc", "", f"--federates=1 {QUIET}")
    info = h.helicsCreateFederateInfo()
    h.helicsFederateInfoSetCoreTypeFromString(info, "inproc")
    h.helicsFederateInfoSetCoreInitString(info, f"--federates=1 {QUIET}")
    h.helicsFederateInfoSetTimeProperty(info, h.HELICS_PROPERTY_TIME_PERIOD, given.period_ms / 1000)
    h.helicsFederateInfoSetTimeProperty(info, h.HELICS_PROPERTY_TIME_RT_LEAD, LEAD_S)
    h.helicsFederateInfoSetTimeProperty(info, h.HELICS_PROPERTY_TIME_RT_LAG, LAG_S)
    h.helicsFederateInfoSetFlagOption(info, h.HELICS_FLAG_REALTIME, True)
    h.helicsFederateInfoSetIntegerProperty(info, h.HELICS_PROPERTY_INT_LOG_LEVEL, h.HELICS_LOG_LEVEL_NO_PRINT)
    federate = h.helicsCreateValueFederate("steps", info)
    h.helicsFederateEnterExecutingMode(federate)
    start_ns = now_ns()
    lateness_ns = []
    for number in range(1, given.steps + 1):
        due_ms = number * given.period_ms
        granted_s = h.helicsFederateRequestTime(federate, due_ms / 1000)
        began_ns = now_ns()
        if round(granted_s * 1000) != due_ms:
            raise RuntimeError(f"asked for {due_ms} ms, HELICS granted {granted_s} s")
        lateness_ns.append(began_ns - start_ns - due_ms * NS_PER_MS)
    h.helicsFederateDisconnect(federate)
    h.helicsFederateFree(federate)
    h.helicsBrokerWaitForDisconnect(broker, 10_000)
    h.helicsCloseLibrary()
    write(given.json, "HELICS", "real-time federate", given.period_ms, lateness_ns)


if __name__ == "__main__":
    main()
